const special = /[.+?^${}()|[\]\\]/g;

/** Whether a text matches a pattern, in which `*` stands for any text (also none, also across lines). */
export function matchesWildcard(pattern: string, text: string): boolean {
  if (pattern === '*') return true;
  if (!pattern.includes('*')) return pattern === text;
  return new RegExp(`^${pattern.replaceAll(special, '\\$&').replaceAll('*', '.*')}$`, 's').test(text);
}
