/**
 * A copy of a text that was cut out of a larger one. The engine keeps the whole read of the socket for as long as a piece of
 * it is held; what is held for the life of a session must not.
 */
export function ownText(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}
