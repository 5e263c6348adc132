import { expectTypeOf } from 'vitest';

import {
  loadScript,
  parseScript,
  startFaultProxy,
  startScriptedModel,
  type FaultProxy,
  type FaultRule,
  type FileScript,
  type RecordedCall,
  type Rule,
  type Script,
  type ScriptedModel,
} from '../src/index.ts';

// Checked by `tsc`; nothing here runs.
expectTypeOf(startScriptedModel).returns.resolves.toEqualTypeOf<ScriptedModel>();
expectTypeOf(loadScript).returns.resolves.toEqualTypeOf<FileScript>();
expectTypeOf(parseScript).returns.toEqualTypeOf<FileScript>();
expectTypeOf<FileScript>().toExtend<Script>();
expectTypeOf<ScriptedModel>().toExtend<AsyncDisposable>();
expectTypeOf<RecordedCall['outcome']>().toEqualTypeOf<'in-flight' | 'completed' | 'failed' | 'cut' | 'aborted' | 'closed'>();

expectTypeOf<{ when: { user: RegExp }; reply: (conversation: { user: string }) => string }>().toExtend<Rule>();
expectTypeOf<{ reply: string[] }>().toExtend<Rule>();
expectTypeOf(startFaultProxy).returns.resolves.toEqualTypeOf<FaultProxy>();
expectTypeOf<FaultProxy>().toExtend<AsyncDisposable>();
expectTypeOf<{ fault: [{ type: 'slice' }, { type: 'drop'; at: { afterEvent: RegExp } }] }>().toExtend<FaultRule>();
// @ts-expect-error A drop says where.
export const nowhere: FaultRule = { fault: { type: 'drop' } };

// @ts-expect-error A rule needs a reply.
export const silent: Rule = { when: { user: 'x' } };
// @ts-expect-error Conditions are a closed set.
export const misspelt: Rule = { when: { usr: 'x' }, reply: 'y' };
