import { ScriptError } from './error.ts';
import { problemsOf } from './problems.ts';
import { replySchema, scriptSchema } from './schema.ts';
import type { Condition, Reply, ReplySource, Rule, Script } from './types.ts';

/**
 * Checks a script written in code by the same schema as a file. Functions and regular expressions, which a file cannot
 * hold, are replaced by harmless values for the check alone.
 */
export function validateScript(script: Script, options: { readonly file?: string } = {}): void {
  const plain = {
    ...script,
    ...(script.rules && { rules: script.rules.map(plainRule) }),
    ...(script.default !== undefined && { default: plainReply(script.default) }),
  };
  const result = scriptSchema.safeParse(plain);
  if (!result.success) throw new ScriptError(problemsOf(result.error.issues, script), options);
}

/** Checks what a function of the script gave, at the call it was given for. */
export function checkReply(reply: Reply): Reply {
  const result = replySchema.safeParse(reply);
  if (!result.success) throw new ScriptError(problemsOf(result.error.issues, reply));
  return reply;
}

function plainRule(rule: Rule) {
  const reply = Array.isArray(rule.reply) ? rule.reply.map(plainReply) : plainReply(rule.reply as ReplySource);
  return { ...rule, reply, ...(rule.when && { when: plainCondition(rule.when) }) };
}

function plainCondition({ test: _test, ...condition }: Condition) {
  return Object.fromEntries(Object.entries(condition).map(([key, value]) => [key, value instanceof RegExp ? '' : value]));
}

function plainReply(reply: ReplySource) {
  return typeof reply === 'function' ? '' : reply;
}
