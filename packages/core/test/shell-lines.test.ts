import { afterAll, beforeAll, expect, test } from 'vitest';
import { carriedShellLine, carryShellLine } from '@opencode-manager/core/protocol';
import { startBench, type Bench } from './support/server.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await startBench([], {}, { 'readme.txt': 'first\n', 'a file.txt': '' });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

// What a user writes, what it prints in bash, and its exit code there.
const lines: readonly (readonly [line: string, printed: string, exitCode: number | null])[] = [
  ['exit 3', '', 3],
  ['true', '', 0],
  ['false; echo $?', '1\n', 0],
  ['echo one\necho two; false', 'one\ntwo\n', 1],
  [`printf '%s|' "a  b" 'c"d' e\\'f '$HOME' \`echo g\``, `a  b|c"d|e'f|$HOME|g|`, 0],
  ['cat <<EOF\n$((1 + 1)) )\nEOF', '2 )\n', 0],
  ['echo end # a comment', 'end\n', 0],
  ['set -e; false; echo never', '', 1],
  ['exec sh -c "exit 7"', '', 7],
  ['ls *.txt | wc -l | tr -d " "', '2\n', 0],
  ['trap "echo left" EXIT; exit 5', 'left\n', 5],
  ['(exit 4)', '', 4],
  ['nonsense-command 2>/dev/null', '', 127],
  ['echo "ä € 🦊 !x"', 'ä € 🦊 !x\n', 0],
  ['echo before; kill -9 $$', 'before\n', null],
];

test.concurrent.each(lines)('the line %j prints what it prints in a shell, and its exit code is known', async (line, printed, exitCode) => {
  const session = await bench.server.createSession();
  const result = await session.executeShell(line, { timeoutMs: 60_000 });
  expect([result.text, result.exitCode]).toEqual([printed, exitCode]);
  const commands = (await session.messages()).flatMap(({ parts }) =>
    parts.map((part) => part.type === 'tool' && part.state.input['command']),
  );
  expect(commands).toContain(line);
  expect(JSON.stringify(await session.messages())).not.toContain('base64');
});

test.concurrent.each(['if', 'echo "open', 'echo )'])('a line whose syntax is wrong has no exit code: %s', async (line) => {
  const session = await bench.server.createSession();
  const { exitCode, text } = await session.executeShell(line, { timeoutMs: 60_000 });
  expect([exitCode, text]).toEqual([null, expect.stringMatching(/syntax error|unexpected/)]);
});

test('a line is found again in the one that carries it, and no other is taken for one', () => {
  const odd = `a '\n$(b) \\ "ä`;
  expect(carriedShellLine(carryShellLine(odd, "/with space/and 'quote'/exit-msg_1a"))).toEqual({ line: odd, messageId: 'msg_1a' });
  const encode = (text: string) => `$(printf %s ${Buffer.from(text).toString('base64')} | base64 -d)`;
  const others = ['ls', '$(printf %s AAAA | base64 -d)', encode('( ls\n); echo'), `${carryShellLine('ls', '/x/exit-msg_1')}; rm x`];
  expect(others.map((other) => carriedShellLine(other))).toEqual([undefined, undefined, undefined, undefined]);
});
