import type { Reply, Rule, Script } from '../script/types.ts';
import { demoTexts } from './texts.ts';
import { promptOf, type DemoTaskId } from './tasks.ts';

/** A rate at which a reader can follow, in tokens per second. */
const readingRate = 60;
/** Nobody reads along while a file is written. */
const writingRate = 250;

/**
 * The script of `ocm demo`: it answers `demoTasks` in the workspace of `demoWorkspaceFiles`. Each task takes two to five
 * seconds, and its tools really run. One task meets a rate limit once, one asks for a path outside the workspace.
 *
 * @example
 * await using workspace = await temporaryWorkspace({ files: demoWorkspaceFiles })
 * await using model = await startScriptedModel(demoScript())
 * @public
 */
export function demoScript(): Script {
  return {
    description: 'The script of ocm demo.',
    tokensPerSecond: readingRate,
    rules: [...readingRules, ...editingRules, ...shellRules, ...askingRules],
  };
}

const readingRules: Rule[] = [
  task('explain-retry', [tool('I will read it first.', 'read', { filePath: 'src/retry.js' }), demoTexts.explainRetry]),
  task('review-cart', [
    tool('Let me look at the cart.', 'read', { filePath: 'src/cart.js' }),
    { reasoning: demoTexts.reviewCartReasoning, text: demoTexts.reviewCart },
  ]),
];

const editingRules: Rule[] = [
  task('fix-rounding', [
    tool('I will read the file before I change it.', 'read', { filePath: 'src/money.js' }),
    tool('Math.floor cuts what the binary fraction lacks; rounding is what is meant.', 'edit', {
      filePath: 'src/money.js',
      oldString: 'Math.floor(amount * 100)',
      newString: 'Math.round(amount * 100)',
    }),
    demoTexts.fixRounding,
  ]),
  task('add-license', [
    tool('There is no licence yet, so I will write one.', 'write', { filePath: 'LICENSE', content: demoTexts.license }),
    demoTexts.addLicense,
  ]),
  task('test-cart', [
    tool('First the code that is to be tested.', 'read', { filePath: 'src/cart.js' }),
    tool('Three behaviours matter: adding, the limit, and the total.', 'write', {
      filePath: 'test/cart.test.js',
      content: demoTexts.cartTest,
    }),
    demoTexts.testCart,
  ]),
  task('changelog', [
    {
      text: 'I will look at the history and at the entries so far.',
      toolCalls: [
        { name: 'bash', arguments: { command: 'git log --oneline', description: 'Show the history' } },
        { name: 'read', arguments: { filePath: 'CHANGELOG.md' } },
      ],
    },
    tool('Now the entry, above the last one.', 'edit', {
      filePath: 'CHANGELOG.md',
      oldString: '## 1.2.0',
      newString: demoTexts.changelogEntry,
    }),
    demoTexts.changelog,
  ]),
  task('rename-timeout', [
    {
      text: 'Two files name it. I will read both.',
      toolCalls: ['src/limits.js', 'src/stock.js'].map((filePath) => ({ name: 'read', arguments: { filePath } })),
    },
    {
      text: 'Now the constant and its uses.',
      toolCalls: ['src/limits.js', 'src/stock.js'].map((filePath) => ({
        name: 'edit',
        arguments: { filePath, oldString: 'TIMEOUT', newString: 'STOCK_TIMEOUT_MS', replaceAll: true },
      })),
    },
    demoTexts.renameTimeout,
  ]),
];

/** What the tool printed decides what is said: a demo that claimed success over a failed test would be a lie. */
const shellRules: Rule[] = [
  afterResult('run-tests', /fail 0\b/, demoTexts.testsPassed),
  task('run-tests', [
    tool('I will run them.', 'bash', { command: 'node --test test/money.test.js', description: 'Run the tests of money.js' }),
    'The tests did not pass. This is what they printed:\n\n{{toolResult}}',
  ]),
];

const askingRules: Rule[] = [
  // A provider that is busy for a moment: opencode waits and asks again.
  {
    name: 'list-todos rate limit',
    when: { user: promptOf('list-todos') },
    times: 1,
    reply: { error: { status: 429, retryAfterSeconds: 1 } },
  },
  task('list-todos', [
    tool('I will search for them.', 'bash', { command: 'grep -rn "TODO" src', description: 'Search for TODO comments' }),
    demoTexts.listTodos,
  ]),
  afterResult('check-hosts', /reject|denied|permission/i, demoTexts.hostsRefused),
  task('check-hosts', [tool('I will read the hosts file.', 'read', { filePath: '/etc/hosts' }), demoTexts.hostsRead]),
  task('plan-typescript', [
    {
      reasoning: demoTexts.planReasoning,
      text: 'I will write the steps down.',
      toolCalls: [
        {
          name: 'todowrite',
          arguments: { todos: demoTexts.planSteps.map((content) => ({ content, status: 'pending', priority: 'medium' })) },
        },
      ],
    },
    demoTexts.plan,
  ]),
];

function task(id: DemoTaskId, reply: readonly (string | Reply)[]): Rule {
  return { name: id, when: { user: promptOf(id) }, reply };
}

function afterResult(id: DemoTaskId, toolResult: RegExp, reply: string): Rule {
  return { name: `${id} after its tool`, when: { user: promptOf(id), toolResult }, reply };
}

function tool(text: string, name: string, input: Record<string, unknown>): Reply {
  return { text, toolCalls: [{ name, arguments: input }], ...(name === 'write' && { tokensPerSecond: writingRate }) };
}
