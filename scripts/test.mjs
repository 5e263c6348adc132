// Runs all tests of all packages against the pinned opencode 1, then checks that they left nothing behind; with `--full`, once more against
// opencode 2. The last line sums up every run: "N passed, N failed[, N skipped]".
import { chmodSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { markedProcesses, temporaryEntries } from './leftovers.mjs';
import { turbo } from './turbo.mjs';

const packages = globSync(['packages/*/vitest.config.ts', 'apps/*/vitest.config.ts']).map((path) => dirname(path));

/** The binary from the lockfile, whatever is on PATH. */
async function pinnedBinary() {
  const { findBinary } = await import('../packages/core/dist/index.js');
  return (await findBinary({ environment: {} })).path;
}

const opencode2 = fileURLToPath(new URL('opencode-2/node_modules/@opencode/cli-linux-x64-baseline/bin/opencode', import.meta.url));

/** Packages whose tests run a server: the others would do the same again. */
const withServer = new Set(['core', 'events', 'actors', 'runs', 'cli', 'bench', 'playground']);

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
async function testInLanes(wanted, environment) {
  const waiting = [...wanted];
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
function failedTestsOf(where, results) {
  return results.testResults.flatMap((file) =>
    file.assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => {
        const reason = (test.failureMessages[0] ?? '').split('\n').slice(0, 12).join('\n  ');
        return `failed in ${where}, ${basename(file.name)}: ${test.fullName}\n  ${reason}`;
      }),
  );
}

/** Adds what the runs have reported to the totals. */
function count(scratch, wanted, label, totals) {
  for (const { name } of wanted) {
    const file = join(scratch, `${name}.json`);
    if (!existsSync(file)) {
      totals.problems.push(`no results from ${name} on ${label}`);
      continue;
    }
    const results = JSON.parse(readFileSync(file, 'utf8'));
    totals.passed += results.numPassedTests;
    totals.failed += results.numFailedTests;
    totals.skipped += results.numPendingTests + results.numTodoTests;
    totals.failedTests.push(...failedTestsOf(`${name} on ${label}`, results));
    if (!results.success && results.numFailedTests === 0) totals.problems.push(`a test file of ${name} could not run on ${label}`);
  }
}

/** All that is wanted on one opencode, and what that left behind. */
async function testOn({ label, binary, wanted }, totals) {
  const scratch = mkdtempSync(join(tmpdir(), 'ocmtest-'));
  // Some tests run as another user, who has to get to what they use.
  chmodSync(scratch, 0o711);
  const temporary = join(scratch, 'tmp');
  for (const { name } of wanted) mkdirSync(join(temporary, name), { recursive: true });
  const before = new Set(markedProcesses().map((line) => line.split(' ')[0]));
  try {
    const statuses = await testInLanes(wanted, {
      OPENCODE_BIN: binary,
      OCM_TEST_RESULTS: scratch,
      TMPDIR: temporary,
      NODE_COMPILE_CACHE: join(scratch, 'compile-cache'),
    });
    totals.status = Math.max(totals.status, ...statuses);
    const left = markedProcesses().filter((line) => !before.has(line.split(' ')[0]));
    totals.problems.push(...left.map((line) => `process left behind on ${label}: ${line}`));
    for (const { name } of wanted)
      for (const entry of temporaryEntries(join(temporary, name)))
        totals.problems.push(`directory left behind by ${name} on ${label}: ${entry}`);
  } finally {
    count(scratch, wanted, label, totals);
    rmSync(scratch, { recursive: true, force: true });
  }
}

if ((await turbo(['run', 'build', '--output-logs=errors-only', '--log-prefix=none'])) !== 0) process.exit(1);
const totals = { passed: 0, failed: 0, skipped: 0, status: 0, problems: [], failedTests: [] };
const skipped = [];
try {
  await testOn({ label: 'opencode 1', binary: await pinnedBinary(), wanted: runs }, totals);
  if (process.argv.includes('--full')) {
    if (existsSync(opencode2))
      await testOn({ label: 'opencode 2', binary: opencode2, wanted: runs.filter(({ of }) => withServer.has(of)) }, totals);
    else skipped.push('skipped: all tests on opencode 2 (there is no opencode 2 for this machine)');
  }
} catch (error) {
  totals.problems.push(`the tests could not be run: ${error.stack}`);
} finally {
  for (const line of [...totals.failedTests, ...totals.problems, ...skipped]) console.log(line);
  const failed = totals.failed + totals.problems.length;
  const left = totals.skipped + skipped.length;
  console.log(`${totals.passed} passed, ${failed} failed${left > 0 ? `, ${left} skipped` : ''}`);
  process.exitCode = totals.status === 0 && failed > 0 ? 1 : totals.status;
}
