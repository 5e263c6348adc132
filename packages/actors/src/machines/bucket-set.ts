/** Buckets of a set: with 500 members, a change copies 64 references and one bucket of about 8. */
const bucketCount = 64;

/** A set of strings that never changes in place. Plain JSON. */
export type BucketSet = readonly (readonly string[])[];

export const emptySet: BucketSet = Array.from({ length: bucketCount }, () => []);

export function has(set: BucketSet, member: string): boolean {
  return set[bucketOf(member)]!.includes(member);
}

/** Gives the same set back when the member is there already. */
export function add(set: BucketSet, member: string): BucketSet {
  const at = bucketOf(member);
  const bucket = set[at]!;
  return bucket.includes(member) ? set : set.with(at, [...bucket, member]);
}

/** Gives the same set back when the member is not there. */
export function without(set: BucketSet, member: string): BucketSet {
  const at = bucketOf(member);
  const place = set[at]!.indexOf(member);
  return place === -1 ? set : set.with(at, set[at]!.toSpliced(place, 1));
}

/** FNV-1a: spreads ids that differ in their last digits alone. */
function bucketOf(member: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < member.length; index += 1) hash = Math.imul(hash ^ member.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % bucketCount;
}
