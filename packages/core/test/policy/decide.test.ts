import { describe, expect, test } from 'vitest';
import { decideAsk, rulesFor, type Ask, type AskDecision, type PermissionPolicy } from '@opencode-manager/core';
import { seededRandom } from '../support/random.ts';

const ask = (permission: string, ...patterns: string[]): Ask => ({
  kind: 'permission',
  id: 'per_1',
  sessionId: 'ses_1',
  permission,
  patterns,
});
const question: Ask = { kind: 'question', id: 'que_1', sessionId: 'ses_1', questions: [{ question: 'Which?', options: ['A'] }] };
const bash = (pattern: string): PermissionPolicy => [{ permission: 'bash', pattern, action: 'allow' }];

describe('a callback', () => {
  const decided = (value: unknown, asked = ask('bash', 'ls')) => decideAsk((() => value) as () => AskDecision, asked);

  test.each([
    ['nothing', undefined, /returned nothing \(a forgotten return\?\)/],
    ['null', null, /returned null, which is no decision/],
    ['a word', 'allow', /returned "allow", which is no decision/],
    ['true', true, /returned true/],
    ['an unknown action', { action: 'ask' }, /returned \{"action":"ask"\}/],
    ['an answer to a permission request', { action: 'answer', answers: [['A']] }, /like a question/],
    ['a message that is no text', { action: 'deny', message: 5 }, /no decision/],
  ])('that gives %s denies, and the reason says so', async (_, value, reason) => {
    expect(await decided(value)).toEqual({ action: 'deny', message: expect.any(String), reason: expect.stringMatching(reason) });
  });

  test.each([
    ['an allowed question', { action: 'allow' }, /a question needs an answer/],
    ['an answer that is no list of lists', { action: 'answer', answers: ['A'] }, /no decision/],
  ])('that gives %s to a question denies', async (_, value, reason) => {
    expect(await decided(value, question)).toMatchObject({ action: 'deny', reason: expect.stringMatching(reason) });
  });

  test('that throws denies; one that throws no error too', async () => {
    const thrower = (thrown: unknown) => () => {
      throw thrown;
    };
    for (const thrown of [new Error('broken'), 'broken', undefined, Symbol('broken')]) {
      expect(await decideAsk(thrower(thrown), ask('bash', 'ls'))).toMatchObject({
        action: 'deny',
        reason: expect.stringContaining('failed'),
      });
    }
  });

  test('whose promise is rejected denies', async () => {
    const failing = () => Promise.reject(new Error('no idea'));
    expect(await decideAsk(failing, ask('bash', 'ls'))).toMatchObject({
      action: 'deny',
      reason: 'The permission callback failed: no idea',
    });
  });

  test('decides when it gives a decision, sooner or later', async () => {
    expect(await decided({ action: 'allow' })).toEqual({ action: 'allow' });
    expect(await decided(Promise.resolve({ action: 'deny', message: 'no' }))).toEqual({ action: 'deny', message: 'no' });
    expect(await decided({ action: 'answer', answers: [['A']] }, question)).toEqual({ action: 'answer', answers: [['A']] });
  });
});

describe('words and rules', () => {
  test('escalate leaves everything open; allow answers no question', async () => {
    expect(await decideAsk('escalate', ask('bash', 'ls'))).toEqual({ action: 'escalate' });
    expect(await decideAsk('escalate', question)).toEqual({ action: 'escalate' });
    expect(await decideAsk('allow', question)).toMatchObject({ action: 'deny' });
  });

  test.each([['ask'], ['reject'], [undefined]])('a rule whose action is %s never allows, even when nobody checked it', async (action) => {
    expect(await decideAsk([{ permission: '*', action }] as unknown as PermissionPolicy, ask('bash', 'ls'))).toMatchObject({
      action: 'deny',
    });
  });

  test.each([[null], ['ask'], [[null]], [{}]])('the policy %j denies', async (policy) => {
    expect(await decideAsk(policy as unknown as PermissionPolicy, ask('bash', 'ls'))).toMatchObject({ action: 'deny' });
  });
});

describe('an allow rule for bash', () => {
  test.each([
    'git status > V',
    'git status >& V',
    'git status < V',
    'git status | tee V',
    'git status; rm V',
    'git status && rm V',
    'git status & rm V',
    'git status\nrm V',
    'git status `rm V`',
    'git status $(rm V)',
    'git log <(rm V)',
    'git log --output=V',
    'git log --output V',
    'git log --outp=V',
    'git log "--output=V"',
    "git log --out'put'=V",
    'git log \\--output=V',
    'git log -p --output=V',
    'git log --{output=V,oneline}',
    'git log $x',
    'git log -?utput=V',
    'git add *',
    "git -c alias.x='!rm V' x",
    'git -C /elsewhere status',
    'git -p -c core.pager=./x log',
    'git --exec-path=. status',
    'git --config-env=core.pager=X log',
    'git --git-dir=x log',
    'git fetch --upload-pack=./x y',
    'git fetch --upl ./x y',
    'git push --receive-pack=./x y',
    'git push --exec=./x y',
    'git clone -u ./x y',
    'git clone --config core.sshCommand=./x y',
    "git clone 'ext::sh -c x' y",
    'git rebase --exec ./x',
    'git rebase -x ./x',
    'git archive -oV HEAD',
    'git format-patch -o V HEAD~1',
    'git grep -O./x word',
    'git grep -nO./x word',
    'git diff --ext-diff',
    'git config alias.x "!rm V"',
    'git submodule foreach rm',
    'git bisect run ./x',
    'git difftool -y',
    'git bundle create V HEAD',
    "git --namespace a --namespace b config alias.x '!rm V'",
    'git --attr-source HEAD bisect run ./x',
    'git x',
    'git interpret-trailers --in-place --trailer "x: y" V',
    'git mailinfo V1 V2',
    'git checkout-index --prefix=/outside/. -a',
    'git worktree add /outside',
    'git read-tree --index-output=V HEAD',
    'git merge-index ./x -a',
    'git merge-file V a b',
    'git fast-import --export-pack-edges=V',
    'git credential-store --file=V store',
    'git apply --unsafe-paths a.patch',
  ])('for "git *" lets %j not through', async (line) => {
    expect(await decideAsk(bash('git *'), ask('bash', line))).toMatchObject({ action: 'deny' });
    // Its exact text does.
    expect(await decideAsk(bash(line), ask('bash', line))).toEqual({ action: 'allow' });
  });

  test.each([
    'git status',
    'git status --short -b',
    'git log --oneline -10 --stat main..HEAD',
    'git diff HEAD~1 -- src/a.ts',
    'git commit -am "Fix it (really)"',
    'git push -u origin main',
    'git show stash@{0}',
    'git rev-parse --abbrev-ref @{u}',
    'git add src/*.ts',
    'git --no-pager log -3',
    'git stash pop',
    'git ls-files --others',
  ])('for "git *" lets %j through', async (line) => {
    expect(await decideAsk(bash('git *'), ask('bash', line))).toEqual({ action: 'allow' });
  });

  test.each([
    ['git -C sub *', 'git -C sub status', 'allow'],
    ['git -C sub *', 'git -C sub -C .. status', 'deny'],
    ['git log --output=*', 'git log --output=V', 'deny'],
    ['git log --*', 'git log --output=V', 'deny'],
    ['git log * > log.txt', 'git log --oneline > log.txt', 'allow'],
    ['git log * > log.txt', 'git log > V > log.txt', 'deny'],
    ['echo *(x)', 'echo $(x)', 'deny'],
    ['echo $*', 'echo $(x)', 'deny'],
    ['* status', 'GIT_EXTERNAL_DIFF=./x git status', 'deny'],
    ['*git *', '/usr/bin/git log --output=V', 'deny'],
    ['g*', 'g\\it -c alias.x=!x x', 'deny'],
    ['npm test*', 'npm test -- -o x', 'allow'],
    ['npm test*', 'npm test; rm V', 'deny'],
    ['echo *', 'echo (a) $HOME -c --output', 'allow'],
    ['*', 'git status > V', 'allow'],
    ['cat *.txt', 'cat *.txt', 'allow'],
  ])('%j over %j: %s', async (pattern, line, action) => {
    expect((await decideAsk(bash(pattern), ask('bash', line))).action).toBe(action);
  });

  test('without a pattern allows every line; the permission * is narrow for bash too, and wide for the rest', async () => {
    expect(await decideAsk([{ permission: 'bash', action: 'allow' }], ask('bash', 'a > b'))).toEqual({ action: 'allow' });
    const any: PermissionPolicy = [{ permission: '*', pattern: 'a*', action: 'allow' }];
    expect((await decideAsk(any, ask('bash', 'a > b'))).action).toBe('deny');
    expect((await decideAsk(any, ask('edit', 'a > b'))).action).toBe('allow');
  });

  test('what it does not match falls to the next rule; deny and escalate rules match widely', async () => {
    const rules: PermissionPolicy = [
      { permission: 'bash', pattern: 'git push *', action: 'deny', message: 'No pushes.' },
      { permission: 'bash', pattern: 'git fetch *', action: 'escalate' },
      { permission: 'bash', pattern: 'git *', action: 'allow' },
      { permission: 'bash', pattern: '*', action: 'deny', message: 'Only plain git.' },
    ];
    expect(await decideAsk(rules, ask('bash', 'git push x > y'))).toEqual({ action: 'deny', message: 'No pushes.' });
    expect(await decideAsk(rules, ask('bash', 'git fetch x > y'))).toEqual({ action: 'escalate' });
    expect(await decideAsk(rules, ask('bash', 'git status > y'))).toEqual({ action: 'deny', message: 'Only plain git.' });
    expect(await decideAsk(rules, ask('bash', 'git status'))).toEqual({ action: 'allow' });
  });

  test('is tried in time that grows with the line alone', async () => {
    const line = `a${'ab'.repeat(25_000)}`;
    const startedAtMs = performance.now();
    expect((await decideAsk(bash('*a*a*a*a*a*a*a*c'), ask('bash', line))).action).toBe('deny');
    expect(performance.now() - startedAtMs).toBeLessThan(2000);
  });
});

describe('the rules that a result suggests', () => {
  test('name each command of a compound line', () => {
    expect(rulesFor(ask('bash', 'a=1 git status', 'rm -f "x y"', 'a=1 git status'))).toEqual([
      { permission: 'bash', pattern: 'a=1 git status', action: 'allow' },
      { permission: 'bash', pattern: 'rm -f "x y"', action: 'allow' },
    ]);
    expect(rulesFor(ask('edit'))).toEqual([{ permission: 'edit', action: 'allow' }]);
    expect(rulesFor(question)).toEqual([]);
  });

  test('allow the ask, whatever it holds', async () => {
    const random = seededRandom(7);
    const pieces = [
      'git',
      ' ',
      '*',
      '"',
      "'",
      '\n',
      '\\',
      '$(',
      ')',
      '`',
      '>',
      '<(',
      '|',
      ';',
      '&',
      '--output=V',
      '-c',
      'a',
      '.',
      '[x]',
      '{a,b}',
      '',
      'é',
      '\u{1f600}',
    ];
    const text = () => Array.from({ length: random.below(12) }, () => random.pick(pieces)).join('');
    for (let round = 0; round < 5000; round += 1) {
      const patterns = Array.from({ length: random.below(4) }, text);
      const asked = ask(random.pick(['bash', 'edit', 'external_directory', '*', 'web*']), ...patterns);
      expect([asked, await decideAsk([...rulesFor(asked)], asked)]).toEqual([asked, { action: 'allow' }]);
    }
  });
});
