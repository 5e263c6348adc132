// Installs the packed packages in an empty directory, as a user would, and runs the command and one example from there.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const example = `
import { createSessionPool } from '@opencode-manager/actors';
import { startScriptedModel } from '@opencode-manager/testing';
await using model = await startScriptedModel({ rules: [{ reply: 'It works when installed.' }] });
await using pool = await createSessionPool({ server: { opencodeConfig: model.opencodeConfig() } });
const { outcome, output } = await pool.run({ prompt: 'Does it?' });
console.log(outcome, output);
`;

const { packageManager } = JSON.parse(readFileSync('package.json', 'utf8'));
const directory = mkdtempSync(join(tmpdir(), 'ocmpacked-'));
const run = (command, args, options = {}) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options });

try {
  for (const name of readdirSync('packages')) {
    run('npx', ['--yes', packageManager, 'pack', '--pack-destination', directory], { cwd: join('packages', name) });
  }
  const tarballs = readdirSync(directory).filter((file) => file.endsWith('.tgz'));
  // The packages name each other by version; here they come from the tarballs.
  const local = Object.fromEntries(tarballs.map((file) => [`@opencode-manager/${file.split('-')[2]}`, `file:./${file}`]));
  const { version } = JSON.parse(readFileSync('packages/core/node_modules/opencode-ai/package.json', 'utf8'));
  const manifest = { private: true, type: 'module', dependencies: { ...local, 'opencode-ai': version }, overrides: local };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
  // A workspace outside git below a directory of everybody is refused.
  run('git', ['init', '--quiet'], { cwd: directory });
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: directory });
  const own = { cwd: directory, env: { ...process.env, OPENCODE_BIN: '' } };
  console.log(`ocm ${run(join(directory, 'node_modules', '.bin', 'ocm'), ['--version'], own).trim()}`);
  writeFileSync(join(directory, 'one.mjs'), example);
  console.log(run(process.execPath, ['--import', '@opencode-manager/core/small-memory', 'one.mjs'], own).trim());
} finally {
  rmSync(directory, { recursive: true, force: true });
}
