/** One task of the demo; exactly one of `prompt`, `command` and `shell`. @public */
export interface DemoTask {
  readonly id: string;
  readonly title: string;
  readonly prompt?: string;
  /** A command of `demoConfigFiles` with its arguments. */
  readonly command?: string;
  /** A shell line; no model is asked. */
  readonly shell?: string;
}

const tasks = [
  { id: 'explain-retry', title: 'Explain the retry helper', prompt: 'Explain how src/retry.js decides when to give up.' },
  { id: 'fix-rounding', title: 'Fix the rounding of prices', prompt: 'toCents(19.99) gives 1998. Fix the rounding in src/money.js.' },
  { id: 'add-license', title: 'Add a licence file', prompt: 'Add an MIT licence file for the corner-shop authors.' },
  { id: 'run-tests', title: 'Run the tests of money.js', prompt: 'Run the tests of src/money.js and tell me how they went.' },
  { id: 'repository-report', title: 'Report on the repository', shell: 'git log --oneline && git fsck --no-progress && wc -l src/*.js' },
  { id: 'changelog', title: 'Write the changelog of 1.3.0', command: 'changelog 1.3.0' },
  { id: 'test-cart', title: 'Write tests for the cart', prompt: 'Write tests for src/cart.js in test/cart.test.js.' },
  { id: 'review-cart', title: 'Review the cart', prompt: 'Review src/cart.js and name the riskiest line.' },
  { id: 'list-todos', title: 'List the open TODOs', prompt: 'List the open TODO comments, the most urgent first.' },
  { id: 'check-hosts', title: 'Look for a hosts entry', prompt: 'Check whether /etc/hosts has an entry for the stock service.' },
  { id: 'plan-typescript', title: 'Plan the move to TypeScript', prompt: 'Plan the move of this library to TypeScript in steps.' },
  { id: 'rename-timeout', title: 'Rename a constant', prompt: 'Rename TIMEOUT to STOCK_TIMEOUT_MS everywhere.' },
] as const satisfies readonly DemoTask[];

export type DemoTaskId = (typeof tasks)[number]['id'];

/**
 * The twelve tasks of `ocm demo`, for `demoScript` in the workspace of `demoWorkspaceFiles` with `demoConfigFiles`. No two
 * of them change the same file.
 *
 * @example
 * for await (const result of pool.runAll(demoTasks)) console.log(result.id, result.outcome)
 * @public
 */
export const demoTasks: readonly DemoTask[] = tasks;

/** Text by which a rule recognises its task: the prompt, or the beginning of what the command's template says. */
export function promptOf(id: DemoTaskId): string {
  const task: DemoTask | undefined = demoTasks.find((candidate) => candidate.id === id);
  return task?.prompt ?? 'Add an entry for version';
}
