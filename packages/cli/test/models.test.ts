import type { Catalogue } from '@opencode-manager/core';
import { describe, expect, test } from 'vitest';
import { refuseUnpriced } from '../src/options/limits.ts';
import { refuseUnknownNames, withModels } from '../src/options/models.ts';
import type { NamedTask } from '../src/task-file/index.ts';

const catalogue: Catalogue = {
  models: ['anthropic/large', 'anthropic/small', 'scripted/model'],
  agents: ['build', 'plan'],
  commands: ['review'],
  defaultModel: 'scripted/model',
};

describe('what the running server does not offer is refused before the first prompt', () => {
  test.each<[string, NamedTask, string, string]>([
    ['a model of a known provider', { id: 'a', prompt: 'x', model: 'anthropic/huge' }, 'MODEL_UNKNOWN', 'anthropic/large, anthropic/small'],
    [
      'a mistyped model, the nearest first',
      { id: 'a', prompt: 'x', model: 'anthropic/larg' },
      'MODEL_UNKNOWN',
      'Did you mean anthropic/large? Provider anthropic has: anthropic/large, anthropic/small.',
    ],
    [
      'a provider without its key',
      { id: 'a', prompt: 'x', model: 'amazon-bedrock/m' },
      'MODEL_UNKNOWN',
      '--pass-env AMAZON_BEDROCK_API_KEY',
    ],
    ['a provider that is mistyped', { id: 'a', prompt: 'x', model: 'antropic/m' }, 'MODEL_UNKNOWN', 'Did you mean anthropic?'],
    ['a provider that nobody defines', { id: 'a', prompt: 'x', model: 'in-house/m' }, 'MODEL_UNKNOWN', 'under provider.in-house'],
    ['an agent', { id: 'a', prompt: 'x', agent: 'nobody' }, 'AGENT_UNKNOWN', 'agent: nobody is unknown. Known: build, plan.'],
    ['a command', { id: 'a', command: '/publish now' }, 'COMMAND_UNKNOWN', 'command: publish is unknown. Known: review.'],
    [
      'a mistyped agent',
      { id: 'a', prompt: 'x', agent: 'bulid' },
      'AGENT_UNKNOWN',
      'agent: bulid is unknown. Did you mean build? Known: build, plan.',
    ],
    ['a mistyped command', { id: 'a', command: '/reveiw now' }, 'COMMAND_UNKNOWN', 'Did you mean review?'],
  ])('%s', (_what, task, code, advice) => {
    const refused = () => refuseUnknownNames(catalogue, [{ id: 'good', prompt: 'x' }, task], {});
    expect(refused).toThrow(expect.objectContaining({ code, message: expect.stringContaining(`Task a: `) as string }));
    expect(refused).toThrow(advice);
  });

  test('the choice of the command line counts for the tasks that name nothing themselves', () => {
    const task = { id: 'a', prompt: 'x' };
    expect(() => refuseUnknownNames(catalogue, [task], { agent: 'nobody' })).toThrow(expect.objectContaining({ code: 'AGENT_UNKNOWN' }));
    expect(() => refuseUnknownNames(catalogue, [task], { model: 'scripted/none' })).toThrow('model: scripted/none cannot be used');
    expect(() => refuseUnknownNames(catalogue, [{ ...task, agent: 'plan', model: 'anthropic/small' }], { agent: 'nobody' })).not.toThrow();
  });

  test('what is offered passes, and a shell line needs no model', () => {
    const without: Catalogue = { models: [], agents: ['build'], commands: ['review'], defaultModel: undefined };
    expect(() => refuseUnknownNames(catalogue, [{ id: 'a', command: '/review src/' }], { agent: 'plan' })).not.toThrow();
    expect(() => refuseUnknownNames(without, [{ id: 'a', shell: 'ls' }], { model: 'gone/model' })).not.toThrow();
  });
});

describe('a limit in dollars is refused over a model without a price', () => {
  const offered: Catalogue = {
    ...catalogue,
    unpriced: ['scripted/model'],
    defaultModel: 'anthropic/large',
    choices: { agents: { cheap: { model: 'scripted/model' } }, commands: { review: { agent: 'cheap' } } },
  };
  const usd = (amount: number | null) => ({ timeoutMs: null, tokens: null, usd: amount });
  const priced = { model: undefined, agent: undefined, fallback: undefined, prices: undefined, limits: { run: usd(1), task: {} } };

  test.each<[string, NamedTask, Partial<Parameters<typeof refuseUnpriced>[1]>]>([
    ['of the task', { id: 'a', prompt: 'x', model: 'scripted/model' }, {}],
    ['of the command line', { id: 'a', prompt: 'x' }, { model: 'scripted/model' }],
    ['of its agent', { id: 'a', prompt: 'x', agent: 'cheap' }, {}],
    ['of the agent of the command line', { id: 'a', prompt: 'x' }, { agent: 'cheap' }],
    ['of the agent of its command', { id: 'a', command: '/review x' }, { model: 'anthropic/large' }],
    ['that it falls back to', { id: 'a', prompt: 'x' }, { fallback: 'scripted/model' }],
    [
      'of a limit of its own',
      { id: 'a', prompt: 'x', model: 'scripted/model', limits: { usd: 1 } },
      { limits: { run: usd(null), task: {} } },
    ],
  ])('%s', (_what, task, more) => {
    const run = { ...priced, tasks: [{ id: 'good', prompt: 'x', model: 'anthropic/large' }, task], ...more };
    if (run.model === undefined && run.agent === undefined && run.fallback === undefined)
      expect(() => refuseUnpriced(offered, { ...run, tasks: run.tasks.slice(0, 1) })).not.toThrow();
    expect(() => refuseUnpriced(offered, run)).toThrow(expect.objectContaining({ code: 'MODEL_UNPRICED' }));
    expect(() => refuseUnpriced(offered, { ...run, prices: { 'scripted/model': { input: 1, output: 1 } } })).not.toThrow();
  });
});

describe('before a server starts', () => {
  test('every task needs a model from somewhere', async () => {
    const prompt = { id: 'a', prompt: 'x' };
    await expect(withModels({}, [prompt], {})).rejects.toMatchObject({ code: 'MODEL_UNKNOWN', details: { tasks: ['a'] } });
    const own = { agent: { plan: { model: 'anthropic/small' } }, command: { review: { template: 'x', model: 'anthropic/large' } } };
    const tasks: NamedTask[] = [
      { id: 'b', prompt: 'x', agent: 'plan' },
      { id: 'c', command: '/review it' },
      { id: 'd', shell: 'ls' },
    ];
    await expect(withModels({ opencodeConfig: own }, tasks, {})).resolves.toMatchObject({ opencodeConfig: own });
  });

  test('a model may come from a variable, or from the default agent', async () => {
    const prompt = { id: 'a', prompt: 'x' };
    const fromVariable = { opencodeConfig: { model: '{env:MODEL_OF_THE_TEST}' } };
    const env = { MODEL_OF_THE_TEST: 'scripted/model' };
    await expect(withModels({ ...fromVariable, env }, [prompt], {})).resolves.toMatchObject(fromVariable);
    const unset = expect.stringContaining('has an empty one: is the variable that it names set?') as string;
    await expect(withModels(fromVariable, [prompt], {})).rejects.toMatchObject({ code: 'MODEL_UNKNOWN', message: unset });
    const own = { default_agent: 'docs', agent: { docs: { mode: 'primary', model: 'scripted/model' } } };
    await expect(withModels({ opencodeConfig: own }, [prompt], {})).resolves.toMatchObject({ opencodeConfig: own });
    await expect(withModels({ opencodeConfig: own }, [{ ...prompt, agent: 'build' }], {})).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
  });

  test('providers that the command line and the tasks name may be used besides those of the configuration', async () => {
    const config = { opencodeConfig: { model: 'scripted/model' } };
    const tasks: NamedTask[] = [{ id: 'a', prompt: 'x', model: 'other/model' }];
    const { enabledProviders } = await withModels(config, tasks, { model: 'anthropic/small' });
    expect(enabledProviders?.toSorted()).toEqual(['anthropic', 'other', 'scripted']);
  });
});
