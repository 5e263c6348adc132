// Starts a guard as the argument (JSON) says and ends without a word to it, as a manager does that is killed.
import { startGuard, type GuardTask } from '../../src/process/guard.ts';

await startGuard(JSON.parse(process.argv[2]!) as GuardTask);
process.exit(0);
