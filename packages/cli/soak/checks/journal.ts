import type { AttemptEnded } from '@opencode-manager/runs/read';
import { repeated, type Facts } from '../facts.ts';

/** The rows are whole, in order, and no attempt has two ends or a further one after its success. */
export function checkJournal(facts: Facts): string[] {
  return [...wholeRows(facts), ...attempts(facts), ...finals(facts)];
}

function wholeRows({ rows, lives }: Facts): string[] {
  const problems: string[] = [];
  const broken = rows.find(({ sequence }, index) => sequence !== index + 1);
  if (broken) problems.push(`journal: row ${broken.sequence} is out of order`);
  const last = rows.at(-1)?.event;
  if (last?.type !== 'run.ended' || last.reason !== 'done') problems.push(`journal: the last row is ${JSON.stringify(last)}`);
  const generations = rows.flatMap(({ event }) => (event.type === 'run.opened' ? [event.generation] : []));
  if (generations.some((generation, index) => generation !== index + 1)) problems.push(`journal: generations ${generations.join(' ')}`);
  if (generations.length > lives.length)
    problems.push(`journal: ${generations.length} managers opened the run, ${lives.length} were started`);
  const superseded = rows.filter(({ event }) => event.type === 'attempt.superseded');
  if (superseded.length > 0) problems.push(`journal: ${superseded.length} results were superseded`);
  return problems;
}

function attempts({ intended, ended }: Facts): string[] {
  const named = ({ key, attempt }: { readonly key: string; readonly attempt: number }) => `${key}/${attempt}`;
  const problems = [
    ...repeated(intended.map(named)).map((name) => `journal: ${name} was intended twice`),
    ...repeated(intended.map(({ token }) => token)).map((token) => `journal: token ${token} was given twice`),
    ...repeated(intended.map(({ sessionId }) => sessionId)).map((session) => `journal: session ${session} has two attempts`),
    ...repeated(intended.map(({ messageId }) => messageId)).map((message) => `journal: message ${message} was intended twice`),
    ...repeated(ended.map(named)).map((name) => `journal: ${name} ended twice`),
  ];
  const ends = new Map(ended.map((end) => [named(end), end]));
  for (const one of intended) {
    const end = ends.get(named(one));
    if (!end) problems.push(`journal: ${named(one)} has no end`);
    else if (end.token !== one.token || end.result.session_id !== one.sessionId || end.result.message_id !== one.messageId)
      problems.push(`journal: the end of ${named(one)} is of another token, session or message`);
  }
  return problems;
}

function finals({ tasks, rows, ended, final }: Facts): string[] {
  const problems: string[] = [];
  for (const { id } of tasks) if (!final.has(id)) problems.push(`journal: ${id} has no final result`);
  // No task of a soak fails by itself; one that its server died under again and again may be given up.
  for (const { key, outcome, error } of final.values())
    if (outcome === 'failed' && error?.code !== 'POISON_TASK')
      problems.push(`journal: ${key} failed: ${error?.code} ${error?.message.slice(0, 200)}`);
  const strange = [...final.keys()].filter((key) => !tasks.some(({ id }) => id === key));
  if (strange.length > 0) problems.push(`journal: results of no task: ${strange.join(' ')}`);
  const over = new Set<string>();
  for (const { event } of rows) {
    if ((event.type === 'attempt.intended' || event.type === 'attempt.ended') && over.has(event.key))
      problems.push(`journal: ${event.key} has attempt ${event.attempt} after its success`);
    if (event.type === 'attempt.ended' && event.outcome === 'succeeded') over.add(event.key);
  }
  for (const [key, ends] of Map.groupBy(ended, (end) => end.key))
    for (const earlier of ends.filter((end) => end.final).slice(0, -1))
      if (!isPassing(earlier))
        problems.push(`journal: ${key} went on after attempt ${earlier.attempt} had ended for good as ${earlier.outcome}`);
  return problems;
}

/** What the server or the manager has ended for good is run again by a resume, and what timed out when it has more time. */
function isPassing({ outcome }: AttemptEnded): boolean {
  return outcome === 'interrupted' || outcome === 'server_lost' || outcome === 'timed_out';
}
