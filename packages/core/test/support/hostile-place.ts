import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

/** A directory of a test's own in which a hostile workspace is put together. Paths count from it. */
export interface HostilePlace {
  readonly path: string;
  at(path: string): string;
  file(path: string, content?: string | Buffer): Promise<void>;
  directory(path: string): Promise<void>;
  /** A directory with so many empty files. */
  files(path: string, count: number): void;
  link(path: string, target: string): Promise<void>;
  fifo(path: string): Promise<void>;
  /** A repository as `git init` makes it. */
  repository(path: string): Promise<void>;
  git(path: string, ...args: string[]): Promise<void>;
  /** A plugin that leaves a file when it is run; see `ran`. */
  plugin(path: string): Promise<void>;
  /** Where a plugin of this place leaves its file. */
  readonly ran: string;
}

const environment = { PATH: process.env['PATH'] ?? '', GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };

export function hostilePlace(path: string): HostilePlace {
  const at = (inner: string) => join(path, inner);
  const ran = `${path}-ran`;
  async function file(inner: string, content: string | Buffer = ''): Promise<void> {
    await mkdir(dirname(at(inner)), { recursive: true });
    await writeFile(at(inner), content);
  }
  async function git(inner: string, ...args: string[]): Promise<void> {
    await execa('git', args, { cwd: at(inner), extendEnv: false, env: environment });
  }
  return {
    path,
    ran,
    at,
    file,
    git,
    files(inner, count) {
      mkdirSync(at(inner), { recursive: true });
      for (let name = 0; name < count; name += 1) writeFileSync(join(at(inner), String(name)), '');
    },
    async directory(inner) {
      await mkdir(at(inner), { recursive: true });
    },
    async link(inner, target) {
      await mkdir(dirname(at(inner)), { recursive: true });
      await symlink(target, at(inner));
    },
    async fifo(inner) {
      await mkdir(dirname(at(inner)), { recursive: true });
      await execa('mkfifo', [at(inner)]);
    },
    async repository(inner) {
      await mkdir(at(inner), { recursive: true });
      await git(inner, 'init', '--quiet', '--template=', '--initial-branch=main');
    },
    plugin: (inner) => file(inner, pluginThatLeaves(ran)),
  };
}

export function pluginThatLeaves(file: string): string {
  return `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(file)}, 'ran')\nexport default { id: 'hostile', setup: async () => {} }\n`;
}
