import type { Reply } from '../script/types.ts';

type ScriptedCall = NonNullable<Reply['toolCalls']>[number];

/** Tools of opencode 1 that are called otherwise in opencode 2. */
const names: Readonly<Record<string, string>> = { bash: 'shell', task: 'subagent' };

/** Arguments of opencode 1 that are called otherwise in opencode 2, by the tool's name there. */
const fields: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  write: { filePath: 'path' },
  edit: { filePath: 'path' },
  read: { filePath: 'path' },
  subagent: { subagent_type: 'agent' },
};

const isOpencode2 = (tools: readonly string[]) => tools.includes('shell') && !tools.includes('bash');

/** What opencode 2 calls a tool of opencode 1. */
export function nameOffered(name: string): string {
  return names[name] ?? name;
}

/** Whether a tool is the one that a script means, which may have its name of opencode 1. */
export function isToolMeant(meant: string, name: string | undefined, tools: readonly string[]): boolean {
  return name === meant || (isOpencode2(tools) && name === nameOffered(meant));
}

/**
 * A call as the asking opencode takes it, so that one script serves both: scripts use the names of opencode 1, and opencode 2 offers `shell` in the place of
 * `bash`. Names of opencode 2 are sent as they are.
 */
export function callAsOffered(call: ScriptedCall, tools: readonly string[]): ScriptedCall {
  if (!isOpencode2(tools)) return call;
  const name = nameOffered(call.name);
  const renamed = fields[name];
  const given = call.arguments;
  if (renamed === undefined || given === undefined || typeof given === 'string') return { ...call, name };
  return { ...call, name, arguments: Object.fromEntries(Object.entries(given).map(([key, value]) => [renamed[key] ?? key, value])) };
}
