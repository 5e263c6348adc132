/** One thing that is wrong with a script. */
export interface ScriptProblem {
  /** Where: `rules[2].reply.tokensPerSecond`, or a line and column for text that is not JSON. */
  readonly path: string;
  /** The name of the rule, when it has one. */
  readonly rule?: string;
  readonly message: string;
}

/**
 * A script of the scripted model cannot be used. The message names the file, the rule and the field of each problem.
 *
 * @example
 * try { await loadScript('model.jsonc') }
 * catch (error) { if (error instanceof ScriptError) console.error(error.problems) }
 * @public
 */
export class ScriptError extends Error {
  override readonly name = 'ScriptError';
  readonly code = 'SCRIPT_INVALID';
  /** The file that was read; absent for scripts written in code. */
  readonly file: string | undefined;
  readonly problems: readonly ScriptProblem[];

  constructor(problems: readonly ScriptProblem[], options: { readonly file?: string; readonly cause?: unknown } = {}) {
    super(describe(problems, options.file), options.cause === undefined ? undefined : { cause: options.cause });
    this.file = options.file;
    this.problems = problems;
  }
}

function describe(problems: readonly ScriptProblem[], file: string | undefined): string {
  const lines = problems.map(({ path, rule, message }) => `${path}${rule === undefined ? '' : ` (rule "${rule}")`}: ${message}`);
  return `${file ?? 'The script'} cannot be used: ${lines.join('; ')}`;
}
