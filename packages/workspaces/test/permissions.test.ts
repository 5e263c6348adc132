import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { repository, scratch, shell } from './support/repository.ts';

const script = fileURLToPath(new URL('./support/denied-task.ts', import.meta.url));
const isRoot = process.getuid?.() === 0;
// For root permissions do not count, unless it gives up that right.
const within = isRoot ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [];

function run(source: string, line: string): unknown {
  const args = [...within, process.execPath, '--conditions=@opencode-manager/source', script, source, line];
  return JSON.parse(execFileSync(args[0]!, args.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
}

test.skipIf(isRoot && process.platform !== 'linux')('what an agent closed is told and stays, what it made read-only goes', () => {
  using directory = scratch();
  const source = repository(join(directory.path, 'repo'));
  try {
    expect(run(source, 'echo n > n.txt; mkdir d; echo d > d/d.txt; chmod -R a-w .')).toMatchObject({
      files: ['d/d.txt', 'n.txt'],
      leftBehind: [],
      release: { removed: true },
    });
    expect(run(source, 'mkdir secret; echo s > secret/s.txt; echo u > src/u.txt; chmod 000 src secret; echo n > n.txt')).toMatchObject({
      files: ['n.txt'],
      leftBehind: expect.arrayContaining(['secret', 'src'].map((path) => ({ path, bytes: 0, reason: 'unreadable' }))) as unknown,
      release: { removed: false, reason: 'left_behind' },
    });
    expect(run(source, 'echo n > n.txt; git add .; git commit -q -m n; chmod 000 .git/objects')).toMatchObject({
      files: ['n.txt'],
      leftBehind: [{ path: '.git', reason: 'history' }],
      release: { removed: false, reason: 'left_behind' },
      notes: ['history_unreadable'],
    });
    shell(source, 'chmod a-w .git .git/ocm');
    expect(run(source, 'true')).toMatchObject({
      code: 'WORKSPACE_SOURCE_INVALID',
      message: expect.stringContaining('Let this user write') as string,
    });
  } finally {
    shell(directory.path, 'chmod -R u+rwX .');
  }
});
