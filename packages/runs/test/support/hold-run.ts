// Opens a run, says so, and holds it until it is killed.
import { openRunDirectory } from '../../src/index.ts';

const [path = ''] = process.argv.slice(2);
await openRunDirectory(path);
process.stdout.write('held\n');
setInterval(() => {}, 60_000);
