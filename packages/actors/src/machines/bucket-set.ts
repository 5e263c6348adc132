/** Buckets of a set: with 500 members, a change copies 64 references and one bucket of about 8. */
const bucketCount = 64;

interface Member {
  readonly taskId: string;
}

/** Records by their `taskId`, a set that never changes in place. Plain JSON. */
export type BucketSet<Entry extends Member> = readonly (readonly Entry[])[];

export const emptySet: BucketSet<never> = Array.from({ length: bucketCount }, () => []);

export function has(set: BucketSet<Member>, taskId: string): boolean {
  return get(set, taskId) !== undefined;
}

export function get<Entry extends Member>(set: BucketSet<Entry>, taskId: string): Entry | undefined {
  return set[bucketOf(taskId)]!.find((entry) => entry.taskId === taskId);
}

/** Adds a record, or puts it in the place of the one with its id. */
export function put<Entry extends Member>(set: BucketSet<Entry>, entry: Entry): BucketSet<Entry> {
  const at = bucketOf(entry.taskId);
  return set.with(at, [...set[at]!.filter(({ taskId }) => taskId !== entry.taskId), entry]);
}

/** Gives the same set back when the id is not there. */
export function without<Entry extends Member>(set: BucketSet<Entry>, taskId: string): BucketSet<Entry> {
  const at = bucketOf(taskId);
  const place = set[at]!.findIndex((entry) => entry.taskId === taskId);
  return place === -1 ? set : set.with(at, set[at]!.toSpliced(place, 1));
}

export function members<Entry extends Member>(set: BucketSet<Entry>): Entry[] {
  return set.flat();
}

/** FNV-1a: spreads ids that differ in their last digits alone. */
function bucketOf(member: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < member.length; index += 1) hash = Math.imul(hash ^ member.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % bucketCount;
}
