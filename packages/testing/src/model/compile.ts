import { ScriptError, type ScriptProblem } from '../script/error.ts';
import type { Condition, Reply, ReplySource, Rule, Script } from '../script/types.ts';
import { checkReply, validateScript } from '../script/validate.ts';
import type { Conversation } from './conversation.ts';
import { compileCondition, type Matcher } from './match.ts';
import { fillPlaceholders, placeholdersIn, type Values } from './placeholders.ts';

/** Placeholders that every rule has. */
const commonPlaceholders = new Set(['user', 'system', 'toolResult', 'afterTool', 'model', 'step', 'turn', 'call', 'sessionId']);

const standardAnswers = {
  turn: 'No rule of the script answers this.',
  afterTools: 'Done.',
  title: 'Scripted session',
  // opencode 2 takes nothing without one of its headings for a summary.
  summary: '## Objective\nThe conversation so far was summarised by the scripted model.',
} as const;

/** What answers one call. */
export interface Selection {
  /** The rule's name or its place (`rules[2]`); null for the standard answers. */
  readonly rule: string | null;
  readonly reply: Reply;
}

/** A script ready to answer; it holds the rules' counters. */
export interface CompiledScript {
  select(conversation: Conversation): Selection;
}

interface CompiledRule {
  readonly label: string;
  readonly rule: Rule;
  readonly matcher: Matcher;
  readonly replies: readonly ReplySource[];
  /** Calls that met the condition, and calls that were answered, by session or under '' for all. */
  readonly matched: Map<string, number>;
  readonly answered: Map<string, number>;
}

/**
 * Checks and prepares a script.
 * @throws {@link ScriptError} (`SCRIPT_INVALID`)
 */
export function compileScript(script: Script, options: { readonly file?: string } = {}): CompiledScript {
  validateScript(script, options);
  const problems: ScriptProblem[] = [];
  const rules = (script.rules ?? []).flatMap((rule, index) => compileRule(rule, index, problems) ?? []);
  if (script.default !== undefined) checkPlaceholders(script.default, [], { path: 'default' }, problems);
  if (problems.length > 0) throw new ScriptError(problems, options);
  return { select: (conversation) => select(script, rules, conversation) };
}

function compileRule(rule: Rule, index: number, problems: ScriptProblem[]): CompiledRule | undefined {
  const path = `rules[${index}]`;
  const place = { path, ...(rule.name !== undefined && { rule: rule.name }) };
  const replies = Array.isArray(rule.reply) ? (rule.reply as readonly ReplySource[]) : [rule.reply as ReplySource];
  if (replies.length > 1 && looksAtStep(rule.when)) {
    problems.push({
      ...place,
      path: `${path}.reply`,
      message: 'a list follows the steps of a turn, so it cannot stand in a rule with step, afterTool or toolResult',
    });
  }
  try {
    const matcher = compileCondition(rule.when ?? {});
    for (const reply of replies) checkPlaceholders(reply, matcher.provides, { ...place, path: `${path}.reply` }, problems);
    return { label: rule.name ?? path, rule, matcher, replies, matched: new Map(), answered: new Map() };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    problems.push({ ...place, path: `${path}.when`, message: error.message });
    return undefined;
  }
}

function looksAtStep(condition: Condition | undefined): boolean {
  return condition?.step !== undefined || condition?.afterTool !== undefined || condition?.toolResult !== undefined;
}

function checkPlaceholders(
  reply: ReplySource,
  provided: readonly string[],
  place: Omit<ScriptProblem, 'message'>,
  problems: ScriptProblem[],
): void {
  if (typeof reply === 'function') return;
  for (const name of placeholdersIn(reply)) {
    if (commonPlaceholders.has(name) || provided.includes(name)) continue;
    problems.push({ ...place, message: `nothing provides the placeholder {{${name}}}` });
  }
}

function select(script: Script, rules: readonly CompiledRule[], conversation: Conversation): Selection {
  for (const compiled of rules) {
    const values = take(compiled, conversation);
    if (values === undefined) continue;
    return { rule: compiled.label, reply: resolve(replyOfStep(compiled, conversation), conversation, values) };
  }
  return { rule: null, reply: resolve(standardAnswer(script, conversation), conversation, {}) };
}

/** The values for placeholders when the rule answers this call; counts the call. */
function take(compiled: CompiledRule, conversation: Conversation): Values | undefined {
  const values = compiled.matcher.match(conversation);
  if (values === undefined) return undefined;
  const { rule, matched, answered } = compiled;
  const scope = rule.countPer === 'session' ? (conversation.sessionId ?? '') : '';
  const call = increment(matched, scope);
  if (!inRange(call, rule.when?.call)) return undefined;
  if (rule.times !== undefined && (answered.get(scope) ?? 0) >= rule.times) return undefined;
  increment(answered, scope);
  return { ...values, call: String(call) };
}

function increment(counts: Map<string, number>, key: string): number {
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return count;
}

function inRange(call: number, range: NonNullable<Rule['when']>['call']): boolean {
  if (range === undefined) return true;
  if (typeof range === 'number') return call === range;
  return call >= (range.from ?? 1) && call <= (range.to ?? Infinity);
}

/**
 * The reply for this step of the turn. After the list's end a last reply without tool calls is given again (it ends the
 * turn anyway); one with tool calls would loop for ever, which only `repeat` asks for.
 */
function replyOfStep({ rule, replies }: CompiledRule, { step }: Conversation): ReplySource {
  const last = replies.at(-1) as ReplySource;
  if (replies.length === 1 && looksAtStep(rule.when)) return last;
  if (rule.repeat === true) return replies[step % replies.length] as ReplySource;
  if (step < replies.length) return replies[step] as ReplySource;
  return typeof last === 'object' && last.toolCalls ? standardAnswers.afterTools : last;
}

function standardAnswer(script: Script, { purpose, toolResult }: Conversation): ReplySource {
  if (purpose === 'title') return script.title ?? standardAnswers.title;
  if (purpose === 'summary') return script.summary ?? standardAnswers.summary;
  if (toolResult === undefined) return script.default ?? standardAnswers.turn;
  // The default with tool calls would loop for ever.
  return typeof script.default === 'object' && script.default.toolCalls
    ? standardAnswers.afterTools
    : (script.default ?? standardAnswers.afterTools);
}

function resolve(source: ReplySource, conversation: Conversation, values: Values): Reply {
  // What a function gives is final: it has the conversation at hand and may say braces.
  if (typeof source === 'function') return checkReply(asReply(source(conversation)));
  const { user, system, model } = conversation;
  const common = {
    user,
    system,
    model,
    toolResult: conversation.toolResult ?? '',
    afterTool: conversation.afterTool ?? '',
    step: String(conversation.step),
    turn: String(conversation.turn),
    sessionId: conversation.sessionId ?? '',
    call: '1',
  };
  return fillPlaceholders(asReply(source), { ...common, ...values });
}

function asReply(reply: string | Reply): Reply {
  return typeof reply === 'string' ? { text: reply } : reply;
}
