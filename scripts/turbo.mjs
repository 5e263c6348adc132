// Runs turbo with a pnpm on PATH that nobody has to install: `node scripts/turbo.mjs run build`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const { packageManager } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** Runs turbo with these arguments and gives its exit code. */
export async function turbo(args, environment = {}) {
  const child = spawn('npx', ['--yes', '--package', packageManager, '--', 'turbo', ...args], {
    stdio: 'inherit',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', npm_config_loglevel: 'error', ...environment },
  });
  const [status] = await once(child, 'exit');
  return status ?? 1;
}

if (process.argv[1] === new URL(import.meta.url).pathname) process.exit(await turbo(process.argv.slice(2)));
