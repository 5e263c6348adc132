import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import { OpencodeManagerError } from '../errors/index.ts';
import { readText } from './given/read-text.ts';

/** opencode's own configuration, as far as this project looks into it. */
export type OpencodeConfig = Readonly<Record<string, unknown>>;

/** Reads JSON or JSONC. @throws `OPENCODE_CONFIG_INVALID` with the line and column */
export async function readJsonc(path: string, option: string): Promise<OpencodeConfig> {
  return parseJsonc(await readText(path, option), `${option}: ${path}`);
}

/** @throws `OPENCODE_CONFIG_INVALID` with the line and column */
export function parseJsonc(text: string, label: string): OpencodeConfig {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const first = errors[0];
  if (first) {
    const before = text.slice(0, first.offset).split('\n');
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    throw new OpencodeManagerError('OPENCODE_CONFIG_INVALID', `${label} is not JSONC: ${printParseErrorCode(first.error)} at ${place}.`, {
      details: { place },
    });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as OpencodeConfig;
  throw new OpencodeManagerError(
    'OPENCODE_CONFIG_INVALID',
    `${label} must hold an object; received ${Array.isArray(value) ? 'an array' : typeof value}.`,
  );
}
