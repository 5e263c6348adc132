import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const packaged = fileURLToPath(
  new URL('../../../../scripts/opencode-2/node_modules/@opencode/cli-linux-x64-baseline/bin/opencode', import.meta.url),
);

/** The released opencode 2 that the tests run; undefined where there is none for this machine. */
export const opencode2: string | undefined = existsSync(packaged) ? packaged : undefined;

/** For names of tests that are skipped. */
export const without2 = opencode2 === undefined ? ' (skipped: no opencode 2 for this machine)' : '';
