import { distance } from 'fastest-levenshtein';

/**
 * Names in the order of their nearness to one that does not exist, the nearest first.
 *
 * @example
 * byNearness('claude-sonet-5', ['claude-opus-5', 'claude-sonnet-5'])[0] // 'claude-sonnet-5'
 */
export function byNearness(wanted: string, names: readonly string[]): string[] {
  const far = new Map(names.map((name) => [name, distance(wanted.toLowerCase(), name.toLowerCase())]));
  return names.toSorted((a, b) => far.get(a)! - far.get(b)!);
}

/** The name that was likely meant: two letters may differ, in a long name a fifth, in a short one only one. Undefined when none is that near. */
function likelyName(wanted: string, names: readonly string[]): string | undefined {
  const [nearest] = byNearness(wanted, names);
  if (nearest === undefined) return undefined;
  const differing = nearest.length <= 4 ? 1 : Math.max(2, Math.floor(nearest.length / 5));
  return distance(wanted.toLowerCase(), nearest.toLowerCase()) <= differing ? nearest : undefined;
}

/** `Did you mean X? `, or nothing. */
export function didYouMean(wanted: string, names: readonly string[]): string {
  const name = likelyName(wanted, names);
  return name === undefined ? '' : `Did you mean ${name}? `;
}
