import type { Evidence, Report } from './judge.ts';

/** After `stop()` nothing is left: no slot, no timer, no listener, no stream, no server. */
export function judgeLeftovers({ world, pool, stopped }: Evidence, report: Report): void {
  if (!stopped || !pool) return;
  const left = (text: string) => report('all-given-back', text);
  const { active, queued } = pool.snapshot();
  if (active > 0) left(`${active} slots are still taken.`);
  if (queued > 0) left(`${queued} tasks still wait.`);
  if (world.clock.liveTimers > 0) left(`${world.clock.liveTimers} timers are still set.`);
  for (const [index, stream] of world.streams.entries()) {
    if (stream.listenerCount > 0) left(`stream ${index + 1} still has ${stream.listenerCount} listeners.`);
    if (stream.state !== 'closed' && stream.state !== 'failed') left(`stream ${index + 1} is still ${stream.state}.`);
  }
  for (const { name, state } of world.processes) if (state !== 'ended') left(`${name} still runs.`);
}
