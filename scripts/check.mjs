// Everything that must hold before a change lands, cheapest first. The same as CI, plus formatting and package checks.
import { spawnSync } from 'node:child_process';

const steps = ['format:check', 'lint', 'boundaries', 'build', 'typecheck', 'knip', 'publint', 'packed', 'test'];
for (const step of steps) {
  console.log(`\n== ${step}`);
  const { status } = spawnSync('npm', ['run', '--silent', step], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
