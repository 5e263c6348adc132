/** Takes the known secrets out of plain JSON: `json` of a `Redactor`. */
export type Redact = <Value>(value: Value) => Value;

/** Where no secret is known. */
export const redactNothing: Redact = (value) => value;
