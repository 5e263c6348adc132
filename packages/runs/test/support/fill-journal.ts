// A journal on a file system that gets full, and has room again. Prints what each append gave.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isManagerError } from '@opencode-manager/core/errors';
import { createJournal } from '../../src/journal/sqlite-journal.ts';
import { added } from './events.ts';

const [directory = ''] = process.argv.slice(2);
const filler = join(directory, 'filler');
const journal = createJournal(join(directory, 'journal.sqlite'));

/** In ever smaller pieces, so that not a byte is left. */
function fillUp(): void {
  for (let size = 65_536; size >= 512; size /= 2) while (takes(size)) continue;
}

function takes(bytes: number): boolean {
  try {
    writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
    return true;
  } catch {
    return false;
  }
}

async function told(key: string): Promise<string> {
  return journal.append([added(`${key}-${'x'.repeat(20_000)}`), added(key)]).then(
    (rows) => rows.map(({ sequence }) => sequence).join(),
    (error: unknown) => (isManagerError(error) ? error.code : String(error)),
  );
}

const before = await told('before');
fillUp();
const meanwhile = [await told('first'), await told('second')];
rmSync(filler);
const after = await told('after');
const keys = [...journal.read()].map(({ event }) => ('key' in event ? event.key.slice(0, 6) : ''));
await journal.close();
process.stdout.write(`${JSON.stringify({ before, meanwhile, after, keys })}\n`);
