import * as z from 'zod';

import { problemsOf } from '../script/problems.ts';
import { FaultProxyError } from './error.ts';
import type { FaultPoint, FaultRule } from './types.ts';

/** Longest time that a rule can name, in milliseconds: one hour. */
const maxMs = 3_600_000;

const expression = z.instanceof(RegExp);
const milliseconds = z.number().min(0).max(maxMs);
const event = z.union([z.int().min(1), z.string().min(1), expression]);
const bodyPoint = z.union([
  z.strictObject({ beforeEvent: event }),
  z.strictObject({ insideEvent: event }),
  z.strictObject({ afterEvent: event }),
  z.strictObject({ afterBytes: z.int().min(0) }),
]);
const edge = z.enum(['request', 'response']);
// One sentence in place of each alternative's own complaint.
const point = z.custom<FaultPoint>(
  (value) => edge.safeParse(value).success || bodyPoint.safeParse(value).success,
  'expected "request", "response" or an object with one of beforeEvent, insideEvent, afterEvent and afterBytes',
);

const faults = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('drop'), at: point, how: z.enum(['rst', 'fin', 'end']).optional() }),
  z.strictObject({ type: z.literal('stall'), at: point, forMs: milliseconds.optional() }),
  z.strictObject({ type: z.literal('delay'), ms: milliseconds, at: z.enum(['request', 'response', 'chunk']).optional() }),
  z.strictObject({
    type: z.literal('respond'),
    status: z.int().min(200).max(599),
    headers: z.record(z.string(), z.string()).optional(),
    body: z.unknown().optional(),
    at: edge.optional(),
  }),
  z.strictObject({ type: z.literal('html'), status: z.int().min(200).max(599).optional(), at: edge.optional() }),
  z.strictObject({ type: z.literal('garbage'), text: z.string().optional(), at: edge.optional() }),
  z.strictObject({ type: z.literal('slice'), bytes: z.int().min(1).optional() }),
  z.strictObject({ type: z.literal('duplicate'), event, copies: z.int().min(1).optional() }),
  z.strictObject({ type: z.literal('replace'), event, with: z.union([z.string(), functionOf<(event: string) => string>()]) }),
]);

const ruleSchema: z.ZodType<FaultRule> = z.strictObject({
  name: z.string().min(1).optional(),
  when: z
    .strictObject({
      method: z.string().min(1).optional(),
      path: z.union([z.string().startsWith('/'), expression]).optional(),
      test: functionOf<NonNullable<NonNullable<FaultRule['when']>['test']>>().optional(),
    })
    .optional(),
  nth: z.union([z.int().min(1), z.strictObject({ from: z.int().min(1).optional(), to: z.int().min(1).optional() })]).optional(),
  times: z.int().min(1).optional(),
  fault: z.array(faults).min(1),
});

function functionOf<T>() {
  return z.custom<T>((value) => typeof value === 'function', 'expected a function');
}

/** Refuses what the proxy would not do, so that a misspelt rule never lets a test pass. Throws `FAULT_RULE_INVALID`. */
export function checkRule(rule: FaultRule): void {
  const result = ruleSchema.safeParse({ ...rule, fault: Array.isArray(rule.fault) ? rule.fault : [rule.fault] });
  if (result.success) return;
  const problems = problemsOf(result.error.issues, rule).map(({ path, message }) => `${path}: ${message}`);
  throw new FaultProxyError(
    'FAULT_RULE_INVALID',
    `The fault rule${rule.name === undefined ? '' : ` "${rule.name}"`} cannot be used: ${problems.join('; ')}`,
  );
}
