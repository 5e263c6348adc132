// Puts the playground's built page beside the command that serves it.
import { cpSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const from = fileURLToPath(new URL('../../../apps/playground/dist/', import.meta.url));
const to = fileURLToPath(new URL('../dist/page/', import.meta.url));
if (!existsSync(from)) throw new Error(`The page of the playground is not built: ${from} is missing.`);
rmSync(to, { recursive: true, force: true });
cpSync(from, to, { recursive: true, filter: (path) => !path.includes('/types') });
