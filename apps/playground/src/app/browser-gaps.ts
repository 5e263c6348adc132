import { config } from 'zod';

// What runs in the simulation was written for Node. This comes before it.

// A schema that is compiled needs `eval`, which the page's content security policy forbids.
config({ jitless: true });

for (const name of ['dispose', 'asyncDispose'] as const)
  if (!(name in Symbol)) Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
