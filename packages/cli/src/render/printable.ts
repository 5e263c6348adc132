/** Text that cannot steer the terminal it is printed on: control characters but newline and tab become visible. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  return text.replaceAll('\r\n', '\n').replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : '\uFFFD';
  });
}

/** A value as JSON that cannot steer the terminal either: JSON itself leaves DEL and the control characters above it as they are. */
export function jsonText(value: unknown): string {
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  return JSON.stringify(value).replaceAll(/[\u007F-\u009F]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}

/** The start of a text as one line of at most `width` characters. */
export function oneLine(text: string, width: number): string {
  const line = printable(text).replaceAll(/\s+/g, ' ').trim();
  return line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line;
}
