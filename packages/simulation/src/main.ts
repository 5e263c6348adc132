import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { simulate } from './node/simulate.ts';
import { profiles, type Profile } from './plan/draw.ts';
import type { Plan } from './plan/types.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    profile: { type: 'string' },
    plan: { type: 'string' },
    trace: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string' },
  },
});

if (values.profile !== undefined && !(profiles as readonly string[]).includes(values.profile))
  throw new Error(`--profile: ${values.profile} is none of ${profiles.join(', ')}.`);

process.exitCode = await simulate({
  seeds: Number(values.seeds),
  from: Number(values.from),
  profile: values.profile as Profile | undefined,
  plan: values.plan === undefined ? undefined : (JSON.parse(readFileSync(values.plan, 'utf8')) as Plan),
  trace: values.trace,
  table: values.table,
  mutants: values.mutants,
  mutant: values.mutant,
});
