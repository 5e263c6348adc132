import { lstat, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const own = '0.0.0-opencode-manager';

/**
 * What opencode would install into its configuration directory at every start: custom tools import `tool` from it. The package holds no
 * more than this at run time; its schema is zod's.
 */
const files = {
  'package.json': JSON.stringify({
    name: '@opencode-ai/plugin',
    version: own,
    type: 'module',
    exports: { '.': './tool.js', './tool': './tool.js', './package.json': './package.json' },
  }),
  'tool.js': "import { z } from 'zod'\nexport const tool = Object.assign((definition) => definition, { schema: z })\n",
} as const;

/** Puts `@opencode-ai/plugin` and zod into a configuration directory; what stands there already stays. */
export async function seedPluginPackage(directory: string): Promise<void> {
  const modules = join(directory, 'node_modules');
  const place = join(modules, '@opencode-ai', 'plugin');
  await mkdir(modules, { recursive: true, mode: 0o700 });
  if (!(await isAnothers(place))) {
    await mkdir(place, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(files)) await writeFile(join(place, name), text, { mode: 0o600 });
  }
  const link = join(modules, 'zod');
  const found = await lstat(link).catch(() => undefined);
  if (found && !found.isSymbolicLink()) return;
  // One that is there leads to where the manager of an earlier start was installed.
  await rm(link, { force: true });
  await symlink(dirname(createRequire(import.meta.url).resolve('zod/package.json')), link);
}

async function isAnothers(place: string): Promise<boolean> {
  const manifest = await readFile(join(place, 'package.json'), 'utf8').catch(() => '');
  return manifest !== '' && manifest !== files['package.json'];
}
