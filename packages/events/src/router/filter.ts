import type { EventFilter, MonitorEvent } from '../monitor/types.ts';

/** What a filter looks at. */
type RoutedEvent = Pick<MonitorEvent, 'type' | 'plane' | 'directory'>;

/** A filter in the form that is checked for each event: nothing is allocated and no pattern is tried twice. */
export interface CompiledFilter {
  /** Sessions to which the subscription is bound; null for all. */
  readonly sessions: readonly string[] | null;
  readonly plane: EventFilter['plane'] | null;
  readonly type: PatternSet | null;
  readonly directory: PatternSet | null;
}

/** Answers beyond this number are forgotten: directories come and go in a long life. */
const maxRemembered = 1024;

/** Lists of patterns beyond this number are forgotten; subscriptions keep theirs. */
const maxShared = 64;

/** Some patterns with `*`, and their answers for the texts that came already. */
export class PatternSet {
  readonly #patterns: readonly RegExp[];
  readonly #answers = new Map<string, boolean>();

  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map(wildcard);
  }

  matches(text: string): boolean {
    return this.#answers.get(text) ?? this.#decide(text);
  }

  #decide(text: string): boolean {
    const answer = this.#patterns.some((pattern) => pattern.test(text));
    if (this.#answers.size >= maxRemembered) this.#answers.clear();
    this.#answers.set(text, answer);
    return answer;
  }
}

/** Compiles a filter once a subscription. */
export function compileFilter(filter: EventFilter): CompiledFilter {
  return {
    sessions: filter.sessionId === undefined ? null : [...new Set(listOf(filter.sessionId))],
    plane: filter.plane ?? null,
    type: filter.type === undefined ? null : patternsOf(listOf(filter.type)),
    directory: filter.directory === undefined ? null : patternsOf([filter.directory]),
  };
}

/** Thousands of subscriptions, one for each session, name the same few lists of types: each list is compiled once. */
const shared = new Map<string, PatternSet>();

function patternsOf(patterns: readonly string[]): PatternSet {
  const key = patterns.join('\n');
  const known = shared.get(key);
  if (known) return known;
  const compiled = new PatternSet(patterns);
  if (shared.size >= maxShared) shared.clear();
  shared.set(key, compiled);
  return compiled;
}

/**
 * True when the filter wants the event. Sessions are not looked at: the router finds a session's subscriptions by
 * its id. What the monitor reports of the stream itself concerns every directory.
 */
export function wants(filter: CompiledFilter, event: RoutedEvent): boolean {
  if (filter.plane !== null && filter.plane !== event.plane) return false;
  if (filter.type !== null && !filter.type.matches(event.type)) return false;
  if (filter.directory === null || isNotice(event)) return true;
  return event.directory !== undefined && filter.directory.matches(event.directory);
}

/** True for what the monitor reports itself. */
function isNotice(event: RoutedEvent): boolean {
  return event.type.startsWith('stream.');
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

function wildcard(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '.*');
  return new RegExp(`^${escaped}$`, 's');
}
