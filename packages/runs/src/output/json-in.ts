/** The JSON of an answer, or why there is none. */
export type FoundJson = { readonly value: unknown; readonly problem?: undefined } | { readonly problem: string };

const fence = /^[ \t]*(`{3,}|~{3,})[^\n`]*\n([\s\S]*?)\n?[ \t]*\1[ \t]*$/gm;

/** Reads the JSON of an answer: the whole answer, or the only fenced block in it. */
export function jsonIn(answer: string): FoundJson {
  const whole = parsed(answer.trim());
  if (whole.problem === undefined) return whole;
  const blocks = [...answer.matchAll(fence)].map(([, , content = '']) => content);
  if (blocks.length > 1) return { problem: `the answer has ${blocks.length} fenced blocks; which one is meant cannot be told` };
  const [block] = blocks;
  if (block === undefined) return { problem: `the answer is no JSON (${whole.problem})` };
  const inside = parsed(block);
  return inside.problem === undefined ? inside : { problem: `the fenced block of the answer is no JSON (${inside.problem})` };
}

function parsed(text: string): FoundJson {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}
