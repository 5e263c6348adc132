import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { temporaryWorkspace } from '@opencode-manager/testing';

const path = (relative: string) => fileURLToPath(new URL(`../../../${relative}`, import.meta.url));

/** Lines with a word of the wire, and the same thing said without one. */
const lines = [
  ["'/session'", "'/sessions'"],
  ['`/session/${id}`', '`/tasks/${id}`'],
  ['`${url}/session/${id}`', '`${url}/tasks/${id}`'],
  ["'http://localhost:4096/global/event'", "'http://localhost:4096/metrics'"],
  ["'message.part.updated'", "'part.updated'"],
  ["'message.part.updated.1'", "'part.updated.1'"],
  [String.raw`/^message\.part\.delta$/`, String.raw`/^part\.delta$/`],
  ["{ 'message.part.removed': 1 }", "{ 'part.removed': 1 }"],
  ['{ sessionID: id }', '{ sessionId: id }'],
  ["record['sessionID']", "record['sessionId']"],
  ['record.sessionID', 'record.sessionId'],
  ["'MessageAbortedError'", "'aborted'"],
  ["'SessionBusyError'", "'SESSION_BUSY'"],
  ["'step-start'", "'step'"],
] as const;

test('the linter refuses words of the wire in each form, and nothing else', async () => {
  const text = (which: 0 | 1) => lines.map((line, index) => `export const line${index + 1} = ${line[which]};\n`).join('');
  const config = { jsPlugins: [path('scripts/lint/wire-words.mjs')], rules: { 'opencode-manager/wire-words': 'error' } };
  await using workspace = await temporaryWorkspace({
    files: { 'words.ts': text(0), 'ours.ts': text(1), 'oxlint.json': JSON.stringify(config) },
  });
  const linesOf = async (file: string) => {
    const given = ['--config', 'oxlint.json', '--format', 'unix', file];
    const { stdout } = await execa(path('node_modules/.bin/oxlint'), given, { cwd: workspace.path, reject: false });
    const told = stdout.split('\n').filter((line) => line.includes('wire-words'));
    return told.map((line) => Number(/:(\d+):\d+:/.exec(line)?.[1]));
  };
  expect([await linesOf('words.ts'), await linesOf('ours.ts')]).toEqual([lines.map((_, index) => index + 1), []]);
});
