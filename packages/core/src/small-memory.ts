import { setFlagsFromString } from 'node:v8';

/**
 * Keeps the memory of a process that does nothing but manage sessions small, for a little more CPU; `ocm` starts so. Import it before all
 * else: what the engine has taken while modules were loaded stays taken.
 *
 * ```sh
 * MALLOC_ARENA_MAX=1 node --import @opencode-manager/core/small-memory program.js
 * ```
 *
 * V8 lets the young generation grow to 128 MB while tasks come and go, and collects the old one when it has grown by much; next to a server
 * of 350 MB and 100 ms of CPU a prompt, neither is worth it here. The compiler in the middle (Maglev) keeps 6 MB and saves no time that can be
 * seen. With one arena of the C library, which is settled when a process starts, that takes 141 to 150 MB at the peak of 1,000 instant
 * tasks, 100 at once, instead of 243 to 245, for 0.1 to 0.7 ms of CPU a task. A flood of events then passes at
 * 186,000 to 236,000 a second instead of 273,000 to 352,000, for half as much CPU again (docs/decisions/0010). What you have set for node's
 * heap yourself stands, and then nothing is changed.
 * @module
 */
const chosen = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ');
if (!/semi[-_]space|old[-_]space|heap[-_]growing/.test(chosen)) {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=30');
  setFlagsFromString('--no-maglev');
}
