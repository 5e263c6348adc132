import type { AssistantMessageFacts, SessionFact } from '@opencode-manager/core/protocol';
import type { Behaviour } from '../opencode/behaviour.ts';
import type { ServerFact } from '../opencode/facts.ts';
import { isEnd, type StoredSession } from '../opencode/storage.ts';

/** What is kept of a session to make sense of its next event. */
interface Memory {
  parentId: string | undefined;
  readonly openWork: Set<string>;
  /** The end of a turn that is held back, because it has work in the background. */
  held: AssistantMessageFacts | undefined;
  /** Calls of tools whose begin was told. */
  readonly calls: Set<string>;
}

const none: readonly SessionFact[] = [];

/**
 * Makes facts of what a server tells. Events of 1.x are facts; those of 2.x tell what changed and no more, so that what was missed in a gap is
 * missing later: what is answered, that a tool has work in the background, or that this has ended.
 */
export class StreamReader {
  readonly #remembers: boolean;
  readonly #sessions = new Map<string, Memory>();

  constructor({ followsBackground }: Behaviour) {
    this.#remembers = followsBackground;
  }

  read({ id }: StoredSession, { line, ...fact }: ServerFact): readonly SessionFact[] {
    if (fact.type === 'work.told') return this.#tellWork(this.#of(id), fact.work);
    if (!this.#remembers || line) return [factOf(fact)];
    const memory = this.#of(id);
    if (fact.type === 'session.deleted') this.#sessions.delete(id);
    if (fact.type === 'session.idle') return memory.openWork.size > 0 ? none : [fact];
    if (fact.type === 'part') return readPart(memory, fact);
    if (fact.type !== 'message') return [fact];
    if (fact.message.role === 'assistant') return [readAnswer(memory, fact.message)];
    return [readPrompt(memory, fact)];
  }

  #of(id: string): Memory {
    const known = this.#sessions.get(id) ?? { parentId: undefined, openWork: new Set(), held: undefined, calls: new Set() };
    this.#sessions.set(id, known);
    return known;
  }

  #tellWork(memory: Memory, work: string): readonly SessionFact[] {
    if (!memory.openWork.delete(work) || memory.openWork.size > 0 || !memory.held) return none;
    const message = memory.held;
    memory.held = undefined;
    return [{ type: 'message', message }];
  }
}

type Told = Exclude<ServerFact, { readonly type: 'work.told' }>;

function factOf(fact: Told): SessionFact {
  if (fact.type === 'part') return { type: 'part', part: fact.part };
  return fact.type === 'message' ? { type: 'message', message: fact.message } : fact;
}

function readPrompt(memory: Memory, { message, begins }: Extract<ServerFact, { readonly type: 'message' }>): SessionFact {
  memory.parentId = message.id;
  if (begins) memory.openWork.clear();
  if (begins) memory.held = undefined;
  return { type: 'message', message };
}

function readPart(memory: Memory, { part, work }: Extract<ServerFact, { readonly type: 'part' }>): readonly SessionFact[] {
  if (work !== undefined) memory.openWork.add(work);
  if (part.type !== 'tool') return [{ type: 'part', part }];
  if (part.status === 'pending') memory.calls.add(part.id);
  return memory.calls.has(part.id) ? [{ type: 'part', part }] : none;
}

/** After a gap nobody knows what is answered. */
function readAnswer(memory: Memory, told: AssistantMessageFacts): SessionFact {
  const message = { ...told, parentId: memory.parentId ?? told.id };
  if (!message.completed) memory.held = undefined;
  if (memory.openWork.size === 0 || !message.completed || !isEnd(message)) return { type: 'message', message };
  memory.held = message;
  return { type: 'message', message: { ...message, completed: false } };
}
