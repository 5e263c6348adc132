import type { AttemptEnded } from '@opencode-manager/runs/read';
import type { Facts } from './facts.ts';

/** What a soak did, in numbers. */
export function figures({ lives, ended, final, calls, intended, tasks }: Facts): string[] {
  const counted = (values: Iterable<string>) =>
    [...Map.groupBy(values, (value) => value)].map(([value, same]) => `${same.length} ${value}`).join(', ');
  const broken = ended.filter(({ outcome }) => outcome === 'interrupted' || outcome === 'server_lost').length;
  // Ends that a manager has read from a session which another one had begun.
  const generations = new Set(ended.map(({ token }) => token.split('.')[0]));
  const reasons = new Set([...final.values()].filter(({ outcome }) => outcome !== 'succeeded').map(reasonOf));
  const seconds = lives.reduce((sum, { tookMs }) => sum + tookMs, 0) / 1000;
  return [
    `tasks: ${tasks.length}; final results: ${counted([...final.values()].map(({ outcome }) => outcome))}`,
    `attempts: ${intended.length} sent, ${ended.length} ended, ${broken} broken off; by managers: ${generations.size}`,
    ...[...reasons].map((reason) => `  ${reason}`),
    `model: ${calls.length} calls, ${calls.filter(({ step }) => step === 0).length} of them first steps`,
    `managers: ${lives.length} (${counted(lives.map(({ exit }) => String(exit)))}); ${seconds.toFixed(0)} s`,
  ];
}

function reasonOf({ key, outcome, error }: AttemptEnded): string {
  return `${key} ${outcome}: ${error?.code} ${error?.message.slice(0, 200)}`;
}
