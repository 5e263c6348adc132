import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { ProtocolName } from '@opencode-manager/core/protocol';
import { simulateRuns } from './node/simulate-runs.ts';
import { simulate } from './node/simulate.ts';
import { profiles, protocols, type Profile } from './plan/draw.ts';
import type { Plan } from './plan/types.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    profile: { type: 'string' },
    protocol: { type: 'string' },
    plan: { type: 'string' },
    trace: { type: 'boolean', default: false },
    table: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    runs: { type: 'boolean', default: false },
    positions: { type: 'boolean', default: false },
    'every-stage': { type: 'boolean', default: false },
  },
});

if (values.profile !== undefined && !(profiles as readonly string[]).includes(values.profile))
  throw new Error(`--profile: ${values.profile} is none of ${profiles.join(', ')}.`);

if (values.protocol !== undefined && !(protocols as readonly string[]).includes(values.protocol))
  throw new Error(`--protocol: ${values.protocol} is none of ${protocols.join(', ')}.`);

const { trace, table, mutants, mutant, plan, positions } = values;
const shared = {
  seeds: Number(values.seeds),
  from: Number(values.from),
  profile: values.profile as Profile | undefined,
  protocol: values.protocol as ProtocolName | undefined,
  trace,
  table,
  mutants,
  mutant,
};

process.exitCode = values.runs
  ? await simulateRuns({ ...shared, plan, positions, everyStage: values['every-stage'] })
  : await simulate({ ...shared, plan: plan === undefined ? undefined : (JSON.parse(readFileSync(plan, 'utf8')) as Plan) });
