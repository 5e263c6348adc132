import { assertType, expectTypeOf } from 'vitest';
import type { OpencodeManagerError, OpencodeServer, ServerConfig, Session, TurnProof, TurnResult } from '@opencode-manager/core';
import type { Ask, PermissionPolicy, TurnAsk } from '@opencode-manager/core';
import { isManagerError, launchServer, rulesFor } from '@opencode-manager/core';
import { isEventOf, type ServerEvent } from '@opencode-manager/core/protocol';

expectTypeOf(launchServer).parameter(0).toEqualTypeOf<ServerConfig | undefined>();
expectTypeOf(launchServer).returns.resolves.toEqualTypeOf<OpencodeServer>();
expectTypeOf<OpencodeServer>().toExtend<AsyncDisposable>();
expectTypeOf<Session['prompt']>().returns.resolves.toEqualTypeOf<TurnResult>();
expectTypeOf<keyof TurnProof>().toEqualTypeOf<'final_message' | 'session_idle' | 'children_quiet' | 'no_pending_ask'>();
assertType<ServerConfig>({ profile: 'interactive', projectConfig: 'all', port: 0, opencodeConfig: { model: 'a/b' } });
// @ts-expect-error: only loopback can be bound
assertType<ServerConfig>({ hostname: '0.0.0.0' });
// @ts-expect-error: an option that does not exist
assertType<ServerConfig>({ prot: 1 });

assertType<PermissionPolicy>([{ permission: 'bash', pattern: 'npm test', action: 'allow' }]);
assertType<PermissionPolicy>((ask) =>
  ask.kind === 'question' ? { action: 'answer', answers: [['A']] } : { action: 'deny', message: 'no' },
);
// @ts-expect-error: opencode's word, not one of a policy
assertType<PermissionPolicy>([{ permission: 'bash', action: 'ask' }]);
expectTypeOf<Ask['taskId']>().toEqualTypeOf<string | undefined>();
expectTypeOf<TurnResult['asks']>().toEqualTypeOf<readonly TurnAsk[]>();
declare const ask: Ask;
assertType<PermissionPolicy>(rulesFor(ask));

declare const error: unknown;
if (isManagerError(error, 'PORT_IN_USE')) expectTypeOf(error).toEqualTypeOf<OpencodeManagerError>();
// @ts-expect-error: a code that does not exist
isManagerError(error, 'NO_SUCH_CODE');

declare const event: ServerEvent;
if (isEventOf(event, 'part.delta')) expectTypeOf(event.data.delta).toEqualTypeOf<string>();
if (event.type === 'session.error') expectTypeOf(event.data.error.statusCode).toEqualTypeOf<number | undefined>();
