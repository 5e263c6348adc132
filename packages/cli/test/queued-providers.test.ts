import { expect, test } from 'vitest';
import { defaultModelsIn, providerOfTask, type Manifest } from '../src/queue/manifest.ts';

test('a task without a model counts for the provider of its agent, or of the configuration', () => {
  const models = defaultModelsIn({ model: 'anthropic/opus', agent: { review: { model: 'openai/gpt' }, plan: {} } });
  expect(models).toEqual({ model: 'anthropic/opus', agents: { review: 'openai/gpt' } });
  const manifest = { default_models: models } as Manifest;
  expect(providerOfTask({ model: 'google/flash', agent: 'review' }, manifest)).toBe('google');
  expect(providerOfTask({ agent: 'review' }, manifest)).toBe('openai');
  expect(providerOfTask({ agent: 'plan' }, manifest)).toBe('anthropic');
  expect(providerOfTask({}, { default_models: defaultModelsIn({}) } as Manifest)).toBeUndefined();
});
