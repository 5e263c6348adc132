// How many tasks a ledger takes in a second: what a queue costs besides the work itself.
//
//   node --conditions=@opencode-manager/source bench/ledger.ts redis|postgres [TASKS] [HOSTS]
import { startPostgres, startRedis } from '@opencode-manager/testing';
import type { AttemptEnded, JournalEvent } from '@opencode-manager/runs';
import { openQueue } from '../src/index.ts';
import { addedTask, intended, succeeded, taskOf } from '../test/support/rows.ts';

const [backend = 'redis', tasks = '2000', hosts = '16'] = process.argv.slice(2);
await using engine = await (backend === 'postgres' ? startPostgres() : startRedis());
await using queue = await openQueue(engine.url);
const { ledger } = queue;
const keys = Array.from({ length: Number(tasks) }, (_, index) => `t${index}`);
const events: JournalEvent[] = [{ type: 'run.opened', generation: 1 }, ...keys.map(addedTask)];
await ledger.begin({ name: 'bench', manifest: '{}', tasks: new Map(keys.map((key) => [key, JSON.stringify(taskOf(key))])), events });

/** An answer of 2 kB. */
function ended(key: string, token: string): AttemptEnded {
  const event = succeeded(key, 1, token);
  return { ...event, result: { ...event.result, output: 'x'.repeat(2000) } };
}

const waiting = [...keys];
const startedAt = performance.now();
async function host(): Promise<void> {
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    const { token } = (await ledger.claim('bench', key, 1))!;
    const writer = { run: 'bench', key, token };
    await ledger.write({ ...writer, batch: 1 }, [intended(key, 1, `${token}.1`)], []);
    await ledger.putFile(
      { run: 'bench', key, attempt: 1 },
      { name: 'transcript.jsonl', bytes: 20_000, content: Buffer.alloc(20_000), path: null },
    );
    await ledger.write({ ...writer, batch: 2 }, [ended(key, `${token}.1`)], []);
  }
}
await Promise.all(Array.from({ length: Number(hosts) }, host));
const seconds = (performance.now() - startedAt) / 1000;
console.log(
  `${backend}: ${keys.length} tasks of one run by ${hosts} hosts in ${seconds.toFixed(1)} s, ${(keys.length / seconds).toFixed(0)} a second`,
);
