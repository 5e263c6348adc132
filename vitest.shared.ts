import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const conditions = ['@opencode-manager/source', 'development'];
const results = process.env['OCM_TEST_RESULTS'];
/** The run of a part of a package has a name of its own. */
const part = process.env['OCM_TEST_PART'];

/** Settings that every package's tests share: sources run without a build; warnings and unhandled rejections fail. */
export function testConfig(name: string) {
  const run = part ?? name;
  return defineConfig({
    resolve: { conditions },
    ssr: { resolve: { conditions, externalConditions: conditions } },
    test: {
      name,
      include: ['test/**/*.test.ts'],
      setupFiles: [fileURLToPath(new URL('vitest.setup.ts', import.meta.url))],
      // Real servers: two cores carry one test file at a time.
      fileParallelism: false,
      // The files of a package share one process: its start, and all modules of the product anew, would be a second of work for each.
      isolate: false,
      // Some tests start three servers, each of which may take long on a machine that others use too.
      testTimeout: 120_000,
      hookTimeout: 120_000,
      // A shared machine can starve a real server for seconds; what fails twice fails.
      retry: process.env['CI'] ? 1 : 0,
      // Runs at the same time must not see each other's running managers.
      ...(results !== undefined && { env: { TMPDIR: join(process.env['TMPDIR'] ?? '/tmp', run) } }),
      execArgv: conditions.map((condition) => `--conditions=${condition}`),
      reporters: results === undefined ? ['default'] : ['default', ['json', { outputFile: join(results, `${run}.json`) }]],
    },
  });
}
