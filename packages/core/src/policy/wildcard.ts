const star = 0x2a;

/**
 * Whether a text matches a pattern, in which `*` stands for any text (also none, also across lines). Takes time in proportion
 * to the product of both lengths, whatever they hold.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  return pattern === '*' || pattern === text || matchesWhere(pattern, text, () => true);
}

/** The same, where a `*` may stand only for characters whose index `mayCover` accepts. */
export function matchesWhere(pattern: string, text: string, mayCover: (index: number) => boolean): boolean {
  // Which places of the pattern can be reached with the text so far.
  let reached = new Uint8Array(pattern.length + 1);
  let next = new Uint8Array(pattern.length + 1);
  reached[0] = 1;
  passStars(pattern, reached);
  for (let index = 0; index < text.length; index += 1) {
    next.fill(0);
    step(pattern, reached, next, { code: text.charCodeAt(index), covered: mayCover(index) });
    passStars(pattern, next);
    [reached, next] = [next, reached];
  }
  return reached[pattern.length] === 1;
}

function step(pattern: string, from: Uint8Array, to: Uint8Array, character: { readonly code: number; readonly covered: boolean }): void {
  for (let place = 0; place < pattern.length; place += 1) {
    if (from[place] === 0) continue;
    const code = pattern.charCodeAt(place);
    if (code === star && character.covered) to[place] = 1;
    if (code !== star && code === character.code) to[place + 1] = 1;
  }
}

/** A star may stand for nothing. */
function passStars(pattern: string, reached: Uint8Array): void {
  for (let place = 0; place < pattern.length; place += 1) {
    if (reached[place] === 1 && pattern.charCodeAt(place) === star) reached[place + 1] = 1;
  }
}
