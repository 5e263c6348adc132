import type { ProtocolName } from '@opencode-manager/core/protocol';

/** One way in which the real server, its provider or the network differs from what one would wish. */
export interface FaultKind {
  readonly id: string;
  readonly does: string;
  /** Where OPENCODE-FACTS.md says so: its section, or `B` for what was found since; else whose behaviour it is. */
  readonly source: string;
  /** Of the server of that protocol alone. */
  readonly protocol?: ProtocolName;
}

const kind = <Id extends string>(id: Id, source: string, does: string, protocol?: ProtocolName) =>
  ({ id, does, source, ...(protocol && { protocol }) }) as const;

/** Every fault that a world may have. A world counts those that happened in it; see `docs/simulation.md`. */
export const faultKinds = [
  kind('begin-late', 'B: "begin 2.7 s after its 204"', 'A turn begins seconds after its acceptance; the session is idle until then.'),
  kind('begin-very-late', 'B: "begin 2.7 s after its 204", overloaded', 'A turn begins more than 30 s after its acceptance.'),
  kind('begin-never', 'B: "ProviderNoProvidersError"', 'An accepted prompt stays unanswered, and no event says so.', 'v1'),
  kind('unknown-model', 'A3 and B: "unknown model"', 'A turn ends with an error event and has no assistant message.'),
  kind('idle-early', 'A4 and DESIGN "proof, not an event"', 'Idle is told before the final message.', 'v1'),
  kind('idle-late-again', 'A4: "On errors idle comes twice"', 'Idle is told again, seconds after the end.', 'v1'),
  kind('idle-never', 'B: "idle may come without any event"', 'The session becomes idle, and no event says so.', 'v1'),
  kind('finish-length', 'B: finish "length"', 'The answer is cut at the limit of tokens.'),
  kind('finish-odd', 'B: "unknown, error, content-filter"', 'The model stops for a reason that is no good end.'),
  kind(
    'finish-tool-calls-loop',
    'B: "tool_calls without a tool call"',
    'The model stops for tools, calls none, and is asked again without end.',
    'v1',
  ),
  kind(
    'finish-missing-loop',
    'A5: "endless hot loop"',
    'Streams end without a finish reason, and the model is asked again without end.',
    'v1',
  ),
  kind('tool-loop', 'A5: "endless tool loop"; P9', 'The model repeats a cycle of equal tool calls without end.'),
  kind('answer-empty', 'A5: "empty"', 'The final message has no text.'),
  kind('answer-oversized', 'A model that answers 100 MB', 'The model says more in one turn than the pool allows.'),
  kind('retry-rate-limit', 'A5: "429"', 'The provider answers 429; opencode waits and asks again.'),
  kind('retry-failure', 'A5: "500/503"', 'The provider fails for another reason; opencode waits and asks again.'),
  kind('retry-long', 'A5: "no sane cap"', 'The wait for the provider is longer than a manager wants to sit out.', 'v1'),
  kind('retry-spent', 'A5: "after 5 retries"', 'opencode gives up after five retries; the turn ends with an error.', 'v1'),
  kind(
    'stream-broken-text',
    'A5: "each try leaves parts in the same message"',
    'A try breaks off; its text stays in the message beside the next.',
  ),
  kind('provider-error', 'A5: "401, 400"', 'The provider refuses for good.'),
  kind('model-hangs', 'A5: "hang"', 'The model says nothing more, and the session stays busy.'),
  kind('tool-hangs', 'B: "tool\'s own process is killed"', 'A tool never ends, and the session stays busy.'),
  kind('ask-permission', 'A5: Permissions', 'A tool waits for a permission.'),
  kind('ask-question', 'A5: Questions', 'A tool waits for an answer to a question.'),
  kind('ask-stale', 'A5: "the request stays in GET /permission"', 'An aborted turn leaves its ask in the list.', 'v1'),
  kind('child', 'A4: Sub-agents', 'A tool begins a session of its own.'),
  kind('child-nested', 'A4: Sub-agents', 'A sub-agent begins another one.'),
  kind('child-asks', 'A4: "permission.asked carries the CHILD id"', 'A sub-agent waits for a permission.'),
  kind('child-outlives', 'Background work of sub-agents', 'A sub-agent is busy after its parent has become idle.'),
  kind('compaction', 'A5: "auto-compaction"', 'The turn goes on under a later user message.'),
  kind('merged', 'A6: "merged"', 'A prompt to a busy session joins the turn that runs.'),
  kind('abort-before-begin', 'B: "an abort before it is a no-op"', 'An abort comes before the turn has begun, and does nothing.', 'v1'),
  kind('abort-in-retry', 'A5: "During retry wait: no error at all"', 'An abort during the wait for a provider leaves no error.'),
  kind('abort-slow', 'A3: "SIGKILL after 3 s"', 'An abort takes seconds, because a tool ignores the first signal.'),
  kind('abort-ignored', 'A3: "a setsid child survives"', 'An abort has no effect while a tool runs.'),
  kind('abort-outside', 'A6; a second client', 'Somebody else aborts a session.'),
  kind('delete-while-busy', 'A6: "DELETE while busy"', 'A deleted session runs on.'),
  kind('disposed', 'A3: "abort every running prompt"', 'Somebody disposes a directory; its turns are aborted.', 'v1'),
  kind('process-death', 'A3: SIGKILL', 'The server dies; what was streamed is lost, what was running stays unfinished.'),
  kind('process-wedge', 'A3: SIGSTOP', 'The server accepts requests and answers none.'),
  kind('start-fails', 'A3: exit 1 at the start', 'A server does not come up.'),
  kind('disk-full', 'A3: "disk full while running"', 'The disk is full: no session can be made.'),
  kind('successor', 'B: "Two processes share one state directory"', 'A second process works on the same state.'),
  kind('read-torn', 'B: "separate requests"', 'Something changed between the answers of one read.'),
  kind('answer-before-events', 'A4: "4.7 s before"', 'Events come more than a second after an answer that they should precede.'),
  kind('answer-slow', 'A1: health p99 2.2 s', 'An answer takes more than a second.'),
  kind('answer-lost', 'A4: "never answered though stored"', 'The server acted, and its answer never came.'),
  kind('request-lost', 'A1: "hung 5 s"', 'A request never reached the server, and no answer came.'),
  kind('answer-broken', 'A3: UND_ERR_SOCKET', 'The connection broke after the server had acted.'),
  kind('server-error', 'A7: 500', 'The server answers with an internal error and does nothing.'),
  kind('stream-cut', 'A4 and fault 8: EOF', 'The event stream ends and comes back; what is not stored is lost.'),
  kind('stream-silent', 'P4: black hole', 'The event stream brings nothing, until a watchdog notices.'),
  kind('stream-failed', 'The event monitor gives up', 'Nothing more comes of an event stream.'),
  kind('event-doubled', 'A4: sync and live frames', 'An event comes twice.', 'v1'),
  kind(
    'turn-rests',
    '2.x: "a second execution may follow"',
    'A turn has work in the background when its execution ends; another execution follows.',
    'v2',
  ),
  kind(
    'prompt-taken-back',
    '2.x: inbox',
    'An abort comes before the turn has begun: its prompt is taken out of the inbox, and nothing comes of it.',
    'v2',
  ),
  kind('prompt-repeated', '2.x: "no second run"', 'A prompt that was not answered is sent once more under its id.', 'v2'),
] as const;

/** Those that a server of a protocol may have. */
export const faultKindsOf = (protocol: ProtocolName): readonly FaultKind[] =>
  (faultKinds as readonly FaultKind[]).filter((one) => one.protocol === undefined || one.protocol === protocol);

export type FaultId = (typeof faultKinds)[number]['id'];
