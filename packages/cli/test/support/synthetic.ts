import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syntheticBinary } from '@opencode-manager/bench';
import type { Bench } from './ocm.ts';

/** What the synthetic server answers to each prompt. */
export const syntheticAnswer = ' word'.repeat(8);

/** A server in place of opencode, for what is about the command alone: the start of a real one is 4 s of work. */
export interface Synthetic extends AsyncDisposable {
  /** Options of the command; behind others, of which they replace some. */
  readonly args: readonly string[];
}

/** `eventsPerSecond`: how fast its turns of 20 events are, all together; without it, they end at once. */
export async function openSynthetic(bench: Bench, { eventsPerSecond = 0 } = {}): Promise<Synthetic> {
  const binary = await syntheticBinary();
  const [opencodeConfig, config] = [join(bench.root, 'synthetic.json'), join(bench.root, 'synthetic-server.json')];
  await writeFile(opencodeConfig, '{ "model": "synthetic/instant", "enabled_providers": ["synthetic"] }');
  await writeFile(config, JSON.stringify({ env: binary.env({ eventsPerSecond }) }));
  return {
    args: ['--opencode-config', opencodeConfig, '--config', config, '--binary', binary.path],
    [Symbol.asyncDispose]: () => binary[Symbol.asyncDispose](),
  };
}
