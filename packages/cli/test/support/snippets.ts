/** The code blocks of a language in a Markdown text. */
export function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1]!);
}

/** A command of a `console` block, and the lines that follow it. */
export interface ShownCommand {
  readonly command: string;
  readonly shown: readonly string[];
}

/** The commands of all `console` blocks, in their order. */
export function shownCommands(text: string): readonly ShownCommand[] {
  return blocks(text, 'console').flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = '', ...lines] = part.split('\n');
        return { command, shown: lines.filter((line) => line.trim() !== '') };
      }),
  );
}

/** What differs from one machine and moment to the next, each with the word that stands for it. */
const varying: readonly (readonly [RegExp, string])[] = [
  [/\d{8}T\d{6}Z-(\w+)-[0-9a-f]{4}/g, 'RUN-$1'],
  [/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d/g, 'MOMENT'],
  [/[\d.]+ (?:ms|s|min)\b/g, 'TIME'],
  [/\b[\d,]+ tokens/g, 'TOKENS'],
  [/\b\d{1,3},\d{3}\b/g, 'NUMBER'],
  [/[\d.]+ [KM]iB/g, 'BYTES'],
  [/127\.0\.0\.1:\d+, manager \d+/g, 'ADDRESS'],
  [/\b1\.\d+\.\d+\b/g, 'VERSION'],
  [/ +/g, ' '],
];

function masked(text: string): string {
  return varying.reduce((line, [pattern, word]) => line.replaceAll(pattern, word), text.trim());
}

/** Lines that a text shows and that did not come, in this order; lines that came and are not shown are left out there. */
export function missingLines(shown: readonly string[], came: string): readonly string[] {
  let rest = came.split('\n').map(masked);
  return shown.filter((line) => {
    const at = rest.indexOf(masked(line));
    if (at >= 0) rest = rest.slice(at + 1);
    return at < 0;
  });
}
