import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryBudget, readMemoryLimit } from '@opencode-manager/core';
import { privateRoot } from './support/private-root.ts';

test.each([
  // limit, budget, bound: all in bytes
  [1e9, 0.7e9, 0.85e9],
  [2e9, 1.4e9, 1.7e9],
  [7e9, 4.9e9, 5.95e9],
  [64e9, 6e9, 54.4e9],
])('of %d bytes, a server may take %d, and never more than %d', (bytes, maxBytes, mostBytes) => {
  expect(memoryBudget({ bytes })).toEqual({ maxBytes, perDirectoryBytes: 40e6, mostBytes });
});

const v2 = '30 24 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n';
const v1 = '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n';
const machineBytes = 16e9;

/** Files as the system shows them, and the limit that is read from them. */
const systems: readonly (readonly [string, Record<string, string>, Awaited<ReturnType<typeof readMemoryLimit>>])[] = [
  ['no control groups', {}, { bytes: machineBytes, source: 'machine' }],
  [
    'version 2 in a container of its own',
    { 'proc/self/cgroup': '0::/\n', 'proc/self/mountinfo': v2, 'sys/fs/cgroup/memory.max': '2000000000\n' },
    { bytes: 2e9, source: 'cgroup' },
  ],
  [
    'version 2 below a service, whose slice has the smaller limit',
    {
      'proc/self/cgroup': '0::/user.slice/run.scope\n',
      'proc/self/mountinfo': v2,
      'sys/fs/cgroup/user.slice/memory.max': '3000000000\n',
      'sys/fs/cgroup/user.slice/run.scope/memory.max': '8000000000\n',
    },
    { bytes: 3e9, source: 'cgroup' },
  ],
  [
    'version 2, slowed down above memory.high',
    {
      'proc/self/cgroup': '0::/\n',
      'proc/self/mountinfo': v2,
      'sys/fs/cgroup/memory.max': '4000000000\n',
      'sys/fs/cgroup/memory.high': '3500000000\n',
    },
    { bytes: 3.5e9, source: 'cgroup' },
  ],
  [
    'version 2 without a limit',
    { 'proc/self/cgroup': '0::/\n', 'proc/self/mountinfo': v2, 'sys/fs/cgroup/memory.max': 'max\n' },
    { bytes: machineBytes, source: 'machine' },
  ],
  [
    'version 1 on the host',
    {
      'proc/self/cgroup': '5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n',
      'proc/self/mountinfo': v1 + v2,
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      'sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '1000000000\n',
    },
    { bytes: 1e9, source: 'cgroup' },
  ],
  [
    'version 1 in a container, whose mount shows its own group under the name of the host',
    {
      'proc/self/cgroup': '4:memory:/docker/abc\n',
      'proc/self/mountinfo': v1.replace(' / /sys', ' /docker/abc /sys'),
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '1500000000\n',
    },
    { bytes: 1.5e9, source: 'cgroup' },
  ],
  [
    'version 1 without a limit',
    {
      'proc/self/cgroup': '4:memory:/\n',
      'proc/self/mountinfo': v1,
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    },
    { bytes: machineBytes, source: 'machine' },
  ],
];

test.each(systems)('the limit with %s', async (_what, files, limit) => {
  await using root = await privateRoot();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root.path, name)), { recursive: true });
    await writeFile(join(root.path, name), text);
  }
  expect(await readMemoryLimit(root.path, machineBytes)).toEqual(limit);
});

test('the limit of this very process is a number of bytes', async () => {
  const { bytes } = await readMemoryLimit();
  expect(bytes).toBeGreaterThan(1e8);
  expect(Number.isFinite(bytes)).toBe(true);
});
