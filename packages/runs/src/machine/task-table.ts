/** With 10,000 tasks, a change copies 256 references and one bucket of about 40. */
const bucketCount = 256;

interface Member {
  readonly key: string;
}

/** Records by their `key`, a table that never changes in place. Plain JSON; a key may hold any character. */
export type TaskTable<Entry extends Member> = readonly (readonly Entry[])[];

/** A table of records, each with a key of its own. */
export function tableOf<Entry extends Member>(members: Iterable<Entry>): TaskTable<Entry> {
  const buckets: Entry[][] = Array.from({ length: bucketCount }, () => []);
  for (const entry of members) buckets[bucketOf(entry.key)]!.push(entry);
  return buckets;
}

export function find<Entry extends Member>(table: TaskTable<Entry>, key: string): Entry | undefined {
  return table[bucketOf(key)]!.find((entry) => entry.key === key);
}

/** Puts a record in the place of the one with its key. A key that is not there changes nothing. */
export function replace<Entry extends Member>(table: TaskTable<Entry>, entry: Entry): TaskTable<Entry> {
  const at = bucketOf(entry.key);
  return table.with(
    at,
    table[at]!.map((other) => (other.key === entry.key ? entry : other)),
  );
}

/** All records, in no order. */
export function entries<Entry extends Member>(table: TaskTable<Entry>): Entry[] {
  return table.flat();
}

/** FNV-1a: spreads keys that differ in their last digits alone. */
function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % bucketCount;
}
