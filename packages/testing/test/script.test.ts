import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { loadScript, parseScript, ScriptError, startScriptedModel, type Script } from '../src/index.ts';
import { scriptJsonSchema } from '../src/script/json-schema.ts';

/** The problems that a script has, as `path: message`. */
function problemsOf(script: unknown): string[] {
  return refusal(() => parseScript(JSON.stringify(script))).problems.map(({ path, message }) => `${path}: ${message}`);
}

function refusal(act: () => unknown): ScriptError {
  try {
    act();
  } catch (error) {
    if (error instanceof ScriptError) return error;
    throw error;
  }
  throw new Error('the script was accepted');
}

describe('parseScript', () => {
  it('reads JSON with comments and trailing commas', () => {
    const script = parseScript('{ // a comment\n "rules": [{ "when": { "user": "ping" }, "reply": "pong" },], }');
    expect(script).toEqual({ rules: [{ when: { user: 'ping' }, reply: 'pong' }] });
  });

  it('names the line of text that is not JSON', () => {
    const error = refusal(() => parseScript('{\n  "rules": [}\n}', { file: 'model.jsonc' }));
    expect(error.code).toBe('SCRIPT_INVALID');
    expect(error.message).toBe('model.jsonc cannot be used: line 2, column 13: not JSON: value expected');
  });

  it('refuses unknown keys at every depth', () => {
    expect(problemsOf({ rule: [] })).toEqual(['script: unknown key "rule"']);
    expect(problemsOf({ rules: [{ reply: 'x', time: 1 }] })).toEqual(['rules[0]: unknown key "time"']);
    expect(problemsOf({ rules: [{ reply: { text: 'x', tokenPerSecond: 1 } }] })).toEqual(['rules[0].reply: unknown key "tokenPerSecond"']);
    expect(problemsOf({ rules: [{ when: { user: { regex: 'x' } }, reply: 'x' }] })).toEqual(['rules[0].when.user: unknown key "regex"']);
    expect(problemsOf({ rules: [{ reply: ['x', { toolCalls: [{ name: 'bash', args: {} }] }] }] })).toEqual([
      'rules[0].reply[1].toolCalls[0]: unknown key "args"',
    ]);
  });

  it('names the rule in which a value has the wrong type', () => {
    const error = refusal(() =>
      parseScript('{ "rules": [{ "reply": "x" }, { "name": "slow", "reply": { "text": "x", "delayMs": "1s" } }] }'),
    );
    expect(error.problems).toEqual([{ path: 'rules[1].reply.delayMs', rule: 'slow', message: 'expected number, received string' }]);
    expect(error.message).toBe('The script cannot be used: rules[1].reply.delayMs (rule "slow"): expected number, received string');
  });

  it('says which alternatives there are when none was meant', () => {
    expect(problemsOf({ rules: [{ reply: 5 }] })).toEqual(['rules[0].reply: expected string, object, or array, received number']);
  });

  it.each<[unknown, string]>([
    [{ text: 'x', chunks: ['x'] }, 'rules[0].reply.chunks: give either text or chunks, not both'],
    [
      { text: 'x', error: { status: 500 } },
      'rules[0].reply.error: an error answers alone; take text, chunks, reasoning, toolCalls and fault away',
    ],
    [{ delayMs: 5 }, 'rules[0].reply.text: a reply needs text, chunks, reasoning, toolCalls, error or fault'],
    [{ text: 'x', afterChunks: 1 }, 'rules[0].reply.afterChunks: only counts with a mid-stream fault'],
    [{ text: 'Hello {{user.1}}' }, 'rules[0].reply: nothing provides the placeholder {{user.1}}'],
  ])('refuses %j', (reply, problem) => {
    expect(problemsOf({ rules: [{ reply }] })).toEqual([problem]);
  });

  it('refuses a malformed regular expression', () => {
    expect(problemsOf({ rules: [{ when: { user: { matches: '(' } }, reply: 'x' }] })).toEqual([
      'rules[0].when: Invalid regular expression: /(/: Unterminated group',
    ]);
  });

  it('refuses a list of replies in a rule that looks at the step', () => {
    expect(problemsOf({ rules: [{ when: { afterTool: 'bash' }, reply: ['a', 'b'] }] })).toEqual([
      'rules[0].reply: a list follows the steps of a turn, so it cannot stand in a rule with step, afterTool or toolResult',
    ]);
  });

  it('knows numbered and named groups', () => {
    const script = {
      rules: [{ when: { user: { matches: '(?<animal>\\w+) (\\d+)' } }, reply: '{{user.animal}} {{user.2}} \\{{literal}}' }],
    };
    expect(parseScript(JSON.stringify(script))).toEqual(script);
  });
});

describe('loadScript', () => {
  it('names the file in its errors', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'opencode-manager-testing-'));
    const file = join(directory, 'model.json');
    try {
      await expect(loadScript(file)).rejects.toMatchObject({ code: 'SCRIPT_INVALID', file });
      await writeFile(file, '{ "rules": 5 }');
      await expect(loadScript(file)).rejects.toThrow(`${file} cannot be used: rules: expected array, received number`);
      await writeFile(file, '{ "default": "hello" }');
      await expect(loadScript(file)).resolves.toEqual({ default: 'hello' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('scripts in code', () => {
  it('are checked like files', async () => {
    const script = { rules: [{ name: 'odd', when: { user: /x/, afterTools: 'bash' }, reply: () => 'x' }] } as unknown as Script;
    await expect(startScriptedModel(script)).rejects.toMatchObject({
      code: 'SCRIPT_INVALID',
      problems: [{ path: 'rules[0].when', rule: 'odd', message: 'unknown key "afterTools"' }],
    });
  });
});

describe('schema/script.json', () => {
  it('is what the zod schema says (npm run schema writes it)', async () => {
    await expect(readFile(new URL('../schema/script.json', import.meta.url), 'utf8')).resolves.toBe(scriptJsonSchema());
  });
});
