// Writes the package.json that a package is published with, and puts the one of the repository back:
// `published-manifest.mjs write | restore`, in the package's directory. Every published package runs it before and after it is packed,
// so that `npm pack`, which knows neither `catalog:` nor `workspace:` nor `publishConfig.exports`, packs what `pnpm pack` does.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const repository = new URL('../', import.meta.url);
const manifest = 'package.json';
/** The repository's own meanwhile. One that is found there was left by a run that was killed. */
const aside = '.package.json.aside';

const verbs = { write, restore };
const verb = verbs[process.argv[2]];
if (!verb) throw new Error('published-manifest.mjs write | restore');
verb();

function write() {
  if (!existsSync('dist')) fail('dist is missing. Run npm run build first.');
  restore();
  const text = readFileSync(manifest, 'utf8');
  replace(aside, text);
  replace(manifest, `${JSON.stringify(published(JSON.parse(text)), null, 2)}\n`);
}

function restore() {
  if (existsSync(aside)) renameSync(aside, manifest);
}

/** Others read both files at any time, and must never find half of one. */
function replace(file, text) {
  writeFileSync(`${aside}.new`, text);
  renameSync(`${aside}.new`, file);
}

function published({ scripts: _scripts, devDependencies: _development, publishConfig, exports, ...rest }) {
  const { exports: publishedExports, ...config } = publishConfig;
  return { ...rest, exports: publishedExports ?? exports, dependencies: resolved(rest.dependencies ?? {}), publishConfig: config };
}

function resolved(dependencies) {
  return Object.fromEntries(Object.entries(dependencies).map(([name, range]) => [name, resolvedRange(name, range)]));
}

function resolvedRange(name, range) {
  if (range === 'workspace:*') return versionOf(name);
  if (range === 'catalog:') return catalogued(name);
  if (/^(workspace|catalog):/.test(range)) fail(`${name}: ${range} is more than this script knows.`);
  return range;
}

function versionOf(name) {
  const path = new URL(`packages/${name.replace('@opencode-manager/', '')}/`, repository);
  const left = new URL(aside, path);
  return JSON.parse(readFileSync(existsSync(left) ? left : new URL(manifest, path), 'utf8')).version;
}

/** The range that the catalog of pnpm-workspace.yaml has for a package. */
function catalogued(name) {
  const [, catalog] = /^catalog:\n((?: {2}.*\n)+)/m.exec(readFileSync(new URL('pnpm-workspace.yaml', repository), 'utf8'));
  const ranges = new Map([...catalog.matchAll(/^ {2}'?([^':]+)'?: (.+)$/gm)].map(([, key, range]) => [key, range]));
  return ranges.get(name) ?? fail(`the catalog has no ${name}.`);
}

function fail(reason) {
  console.error(`${process.cwd()}: ${reason}`);
  process.exit(1);
}
