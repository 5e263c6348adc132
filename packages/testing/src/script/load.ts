import { readFile } from 'node:fs/promises';

import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';

import { compileScript } from '../model/compile.ts';
import { ScriptError } from './error.ts';
import { problemsOf } from './problems.ts';
import { scriptSchema } from './schema.ts';
import type { FileScript } from './types.ts';

/**
 * Reads a script from a JSON or JSONC file.
 *
 * @example
 * await using model = await startScriptedModel(await loadScript('model.jsonc'))
 * @throws {@link ScriptError} (`SCRIPT_INVALID`) when the file cannot be read or the script cannot be used.
 * @public
 */
export async function loadScript(path: string): Promise<FileScript> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ScriptError([{ path: 'file', message: error instanceof Error ? error.message : String(error) }], {
      file: path,
      cause: error,
    });
  }
  return parseScript(text, { file: path });
}

/**
 * Reads a script from JSON or JSONC text. Unknown keys are refused.
 *
 * @param options - `file` is named in errors.
 * @example
 * const script = parseScript('{ "rules": [{ "when": { "user": "ping" }, "reply": "pong" }] }')
 * @throws {@link ScriptError} (`SCRIPT_INVALID`)
 * @public
 */
export function parseScript(text: string, options: { readonly file?: string } = {}): FileScript {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  // Those after the first only follow from it.
  if (errors[0]) throw new ScriptError([syntaxProblem(text, errors[0])], options);
  const result = scriptSchema.safeParse(value);
  if (!result.success) throw new ScriptError(problemsOf(result.error.issues, value), options);
  const script = value as FileScript;
  compileScript(script, options);
  return script;
}

function syntaxProblem(text: string, { error, offset }: ParseError) {
  const before = text.slice(0, offset).split('\n');
  const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  const reason = printParseErrorCode(error)
    .replace(/(?!^)[A-Z]/g, (letter) => ` ${letter}`)
    .toLowerCase();
  return { path: place, message: `not JSON: ${reason}` };
}
