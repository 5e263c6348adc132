// Serves the page of a run whose records come on standard input, as JSON Lines; prints its address as a line of JSON. The
// link is the real one: journal, event stream, page.
import { createInterface } from 'node:readline';
import type { RunRecord } from '@opencode-manager/playground/trace';
import { Journal } from '../src/playground/journal.ts';
import { servePage } from '../src/playground/server.ts';

const journal = new Journal();
const info = { mode: 'live', title: 'Load', control: false, content: false } as const;
await using page = await servePage({ info, journal });
console.log(JSON.stringify({ type: 'playground', url: page.url }));
for await (const line of createInterface({ input: process.stdin })) {
  const { seq: _seq, ...record } = JSON.parse(line) as RunRecord;
  journal.append(record);
}
