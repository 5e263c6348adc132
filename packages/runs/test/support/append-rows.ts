// Appends rows to a journal for ever, some of them together, and prints each sequence and key when it is committed.
import { writeSync } from 'node:fs';
import { openJournal } from '../../src/journal/sqlite-journal.ts';
import { added } from './events.ts';

const [path = '', name = ''] = process.argv.slice(2);
const journal = openJournal(path);
for (let round = 1; ; round += 1) {
  const calls = Array.from({ length: 1 + (round % 3) }, (_, call) => {
    const keys = Array.from({ length: 1 + (call % 2) }, (__, n) => `${name}-${round}-${call}-${n}`);
    return journal.append(keys.map(added));
  });
  for (const call of calls) {
    for (const { sequence, event } of await call) writeSync(1, `${sequence} ${'key' in event ? event.key : ''}\n`);
  }
}
