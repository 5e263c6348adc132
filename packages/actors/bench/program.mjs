// A program of one's own with a pool, in the JavaScript that users ship: what `pnpm bench tasks` starts to see its memory.
import { createSessionPool } from '@opencode-manager/actors';

const { binary, env, tasks, concurrency } = JSON.parse(process.argv[2]);
const pool = await createSessionPool({
  server: { binary, env, opencodeConfig: { model: 'synthetic/instant' } },
  maxSessions: concurrency,
});
const work = Array.from({ length: tasks }, () => ({ prompt: 'say done' }));
for await (const { outcome, error } of pool.runAll(work)) {
  if (outcome !== 'succeeded') throw new Error(`a task ended as ${outcome}: ${error?.message}`);
}
// Kilobytes on Linux and macOS.
await pool.stop();
console.log(process.resourceUsage().maxRSS / 1024);
