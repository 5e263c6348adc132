// Runs all tests of all packages against the pinned opencode, then checks that they left nothing behind. The last line
// sums up every run: "N passed, N failed".
import { chmodSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { markedProcesses, temporaryEntries } from './leftovers.mjs';
import { turbo } from './turbo.mjs';

const packages = globSync(['packages/*/vitest.config.ts', 'apps/*/vitest.config.ts']).map((path) => dirname(path));

/** The binary from the lockfile, whatever is on PATH. */
async function pinnedBinary() {
  const { findBinary } = await import('../packages/core/dist/index.js');
  return (await findBinary({ environment: {} })).path;
}

/** By how long their tests take, as last counted; one that is not named comes first. Left to itself, turbo begins the longest last. */
const longestFirst = ['actors', 'core', 'cli', 'playground', 'workspaces', 'queue', 'runs', 'events', 'testing', 'simulation', 'bench'];

/** Into how many parts the files of a long package are divided, so that no lane ends minutes after the others. Actors counts its transitions over all files. */
const partsOf = { core: 3, cli: 2 };

/** What is tested by itself, the longest first: a package, or a part of one. Each has its own results and temporary directory. */
const runs = packages
  .map((path) => basename(path))
  .toSorted((a, b) => longestFirst.indexOf(a) - longestFirst.indexOf(b))
  .flatMap((name) => {
    const parts = partsOf[name] ?? 1;
    if (parts === 1) return [{ name, of: name, args: [] }];
    return Array.from({ length: parts }, (_, index) => ({
      name: `${name}-${index + 1}`,
      of: name,
      args: ['--', `--shard=${index + 1}/${parts}`],
    }));
  });

/** One more than the two cores of the machine that runs CI: with two, each core waits for servers and clocks a fifth of the time. */
const lanes = 3;

/** Several runs at a time: each lane takes the longest that waits. */
async function testInLanes(environment) {
  const waiting = [...runs];
  const options = ['run', 'test', '--only', '--output-logs=full', '--log-prefix=none', '--env-mode=loose'];
  const statuses = [];
  async function lane() {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift())
      statuses.push(
        await turbo([...options, `--filter=@opencode-manager/${run.of}`, ...run.args], { ...environment, OCM_TEST_PART: run.name }),
      );
  }
  await Promise.all(Array.from({ length: lanes }, lane));
  return statuses;
}

/** Each failed test in a few lines, told again at the end: what stands above is long. */
function failedTestsOf(name, results) {
  return results.testResults.flatMap((file) =>
    file.assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => {
        const reason = (test.failureMessages[0] ?? '').split('\n').slice(0, 12).join('\n  ');
        return `failed in ${name}, ${basename(file.name)}: ${test.fullName}\n  ${reason}`;
      }),
  );
}

if ((await turbo(['run', 'build', '--output-logs=errors-only', '--log-prefix=none'])) !== 0) process.exit(1);
const binary = await pinnedBinary();
const scratch = mkdtempSync(join(tmpdir(), 'ocmtest-'));
// Some tests run as another user, who has to get to what they use.
chmodSync(scratch, 0o711);
const temporary = join(scratch, 'tmp');
for (const { name } of runs) mkdirSync(join(temporary, name), { recursive: true });
const before = new Set(markedProcesses().map((line) => line.split(' ')[0]));
const failures = [];
let status = 1;
try {
  const statuses = await testInLanes({
    OPENCODE_BIN: binary,
    OCM_TEST_RESULTS: scratch,
    TMPDIR: temporary,
    NODE_COMPILE_CACHE: join(scratch, 'compile-cache'),
  });
  status = Math.max(...statuses);
  failures.push(
    ...markedProcesses()
      .filter((line) => !before.has(line.split(' ')[0]))
      .map((line) => `process left behind: ${line}`),
  );
  for (const { name } of runs) {
    const left = temporaryEntries(join(temporary, name));
    failures.push(...left.map((entry) => `directory left behind by ${name}: ${entry}`));
  }
} finally {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const failedTests = [];
  for (const { name } of runs) {
    const file = join(scratch, `${name}.json`);
    if (!existsSync(file)) {
      failures.push(`no results from ${name}`);
      continue;
    }
    const results = JSON.parse(readFileSync(file, 'utf8'));
    totals.passed += results.numPassedTests;
    totals.failed += results.numFailedTests;
    totals.skipped += results.numPendingTests + results.numTodoTests;
    failedTests.push(...failedTestsOf(name, results));
    if (!results.success && results.numFailedTests === 0) failures.push(`a test file of ${name} could not run`);
  }
  rmSync(scratch, { recursive: true, force: true });
  for (const failure of [...failedTests, ...failures]) console.log(failure);
  const failed = totals.failed + failures.length;
  console.log(`${totals.passed} passed, ${failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ''}`);
  if (status === 0 && failed > 0) status = 1;
  process.exitCode = status;
}
