import { expect, test } from 'vitest';
import { fetchedBy } from '../src/isolation/packages/fetching-commands.ts';

test.each<[string, string[], string | undefined]>([
  ['npx', ['npx', '-y', '@scope/server'], '@scope/server'],
  ['by its path', ['/usr/bin/npx', 'server'], 'server'],
  ['npm exec', ['npm', 'exec', 'server'], 'server'],
  ['uv tool run', ['uv', 'tool', 'run', 'server'], 'server'],
  ['behind env', ['/usr/bin/env', '-i', 'A=/x/1', 'npx', 'server'], 'server'],
  ['behind a shell', ['sh', '-c', 'cd /srv && A=1 exec npx -y server --port 1'], 'server'],
  ['behind a login shell', ['/bin/bash', '-lc', 'uvx server'], 'server'],
  ['deno', ['deno', 'run', '-A', 'npm:server'], 'npm:server'],
  ['a path', ['npx', './server'], undefined],
  ['what is there already', ['npx', '--no-install', 'server'], undefined],
  ['a program', ['node', 'server.js'], undefined],
  ['a script of deno', ['deno', 'run', 'server.ts'], undefined],
  ['a shell with a script', ['sh', 'npx.sh'], undefined],
  ['npm run', ['npm', 'run', 'server'], undefined],
  ['nothing', [], undefined],
])('what a command fetches: %s', (_name, command, fetched) => {
  expect(fetchedBy(command)).toBe(fetched);
});
