import { spawn } from 'node:child_process';
import { access, chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { findMarkedProcesses, isInfrastructureFault, launchServer, OpencodeManagerError, runSocketPath } from '@opencode-manager/core';
import { findOnPath } from '../src/process/find-on-path.ts';
import { failureOf } from './support/failure.ts';
import { can, guardsOf, openMachine, type Machine } from './support/machine.ts';

// Machines as they are: shared, small, short of everything. On each of them a manager works, or says in one sentence what is missing and
// leaves nothing. A fault that was met joins as a row. What a row needs and the machine of the test does not have is told in the row's name.

const root = process.getuid?.() === 0;
const linux = process.platform === 'linux';
const manager = fileURLToPath(new URL('support/manager.ts', import.meta.url));
const stranger = ['setpriv', '--reuid', '12345', '--regid', '12345', '--clear-groups'];
const freezers = '/sys/fs/cgroup/freezer';

/** What a row may need, and whether it is there. */
const needs = {
  Linux: linux,
  'another user who can read this checkout': linux && root && can(stranger[0]!, ...stranger.slice(1), 'test', '-r', manager),
  'mount namespaces': linux && root && can('unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'),
  'PID namespaces': linux && root && can('unshare', '--pid', '--fork', '--mount-proc', 'true'),
  'the freezer of control groups v1': linux && root && (await canFreeze()),
  BusyBox: can('busybox', 'true'),
} as const;
const otherUser = needs['another user who can read this checkout'];
const ownMounts = needs['mount namespaces'];

interface Row {
  readonly name: string;
  readonly needs: readonly (keyof typeof needs)[];
  readonly run: (machine: Machine) => Promise<void>;
}

const answered = { text: 'Hello.', shell: true, stopped: { portFree: true, stateDeleted: true } };
const shell = (script: string) => ['sh', '-c', `${script}\nexec "$@"`, 'sh'];
const limited = (limit: string) => shell(`ulimit ${limit}`);
const inMountNamespace = (script: string) => ['unshare', '-m', ...shell(script)];
const inPidNamespace = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];

/** A manager in a process of its own that stays until SIGUSR2. */
async function startManager(machine: Machine, config = {}, options = {}) {
  const program = machine.start('manager', [machine.config(config), []], options);
  return { program, ...(JSON.parse(await program.line()) as { runId: string; stateDir: string; pid: number }) };
}

/** A directory for PATH in which scripts stand in for programs of the machine. */
async function programs(machine: Machine, scripts: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(machine.root, 'bin-'));
  for (const [name, text] of Object.entries(scripts)) await writeFile(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await chmod(directory, 0o755);
  return directory;
}

const pathWith = (directory: string) => `${directory}:${process.env['PATH']}`;

const rows: readonly Row[] = [
  {
    name: `${otherUser ? 'a user without an entry' : 'this user (another one is not here)'}, with an empty environment, in a current directory that was removed: an absolute path works, the default says what is wrong`,
    needs: ['Linux'],
    async run(machine) {
      const removed = shell(`mkdir ${machine.root}/gone && cd ${machine.root}/gone && rmdir ../gone`);
      const within = [...removed, ...(otherUser ? stranger : []), 'env', '-i', `TMPDIR=${machine.tmp}`];
      expect(await machine.turn({ within })).toMatchObject(answered);
      const { error } = await machine.turn({ within, config: { directory: '.' } });
      expect([error.code, error.message]).toEqual(['DIRECTORY_MISSING', expect.stringContaining('the current directory does not exist')]);
    },
  },
  {
    name: `64 file descriptors, a TMPDIR of 130 bytes, a shell on PATH${ownMounts ? ' and none in /bin' : ' (it cannot be hidden in /bin here)'}: the socket stands in a short private directory`,
    needs: ['Linux'],
    async run(machine) {
      const TMPDIR = join(machine.tmp, 'x'.repeat(130 - machine.tmp.length - 1));
      await mkdir(TMPDIR);
      const bin = await programs(machine, {});
      await copyFile('/bin/sh', join(bin, 'sh'));
      const hidden = 'for name in bash sh dash; do mount --bind /dev/null "$(readlink -f /bin/$name)" 2>/dev/null; done';
      const within = ownMounts ? inMountNamespace(`${hidden}\nulimit -n 64`) : limited('-n 64');
      expect(await machine.turn({ within, env: { TMPDIR, PATH: pathWith(bin) } })).toMatchObject(answered);
      vi.stubEnv('TMPDIR', TMPDIR);
      expect(runSocketPath('0f3c8a52-1111-2222')).toBe(`/tmp/opencode-manager-${process.getuid!()}/0f3c8a52-1111.sock`);
      await rmdir(TMPDIR);
    },
  },
  {
    name: 'no shell at all',
    needs: ['mount namespaces'],
    async run(machine) {
      const hidden = 'for name in sh dash bash; do mount --bind /dev/null "$(readlink -f /bin/$name)" 2>/dev/null; done';
      const { error } = await machine.turn({ within: inMountNamespace(hidden) });
      expect([error.code, error.message]).toEqual(['SHELL_MISSING', expect.stringContaining('No shell (sh) was found on PATH')]);
    },
  },
  {
    name: 'the programs of BusyBox itself',
    needs: ['BusyBox'],
    async run(machine) {
      const names = ['sh', 'grep', 'rm', 'rmdir', 'sleep', 'tr'];
      const bin = await programs(machine, Object.fromEntries(names.map((name) => [name, `exec busybox ${name} "$@"`])));
      const { program, runId } = await startManager(machine, {}, { env: { PATH: pathWith(bin) } });
      program.child.kill('SIGKILL');
      await program.exit;
      await vi.waitFor(async () => expect(await findMarkedProcesses(runId)).toEqual([]), { timeout: 5000, interval: 20 });
    },
  },
  {
    name: 'too few file descriptors, for the manager or for the server: named, and a fault of the machine',
    needs: ['Linux'],
    async run(machine) {
      for (const limit of [24, 31]) {
        const { error } = await machine.turn({ within: limited(`-n ${limit}`) });
        expect([limit, error.code, error.details.errno]).toEqual([limit, 'RESOURCES_EXHAUSTED', 'EMFILE']);
        expect(isInfrastructureFault(OpencodeManagerError.from(error))).toBe(true);
      }
    },
  },
  {
    name: 'a full disk at the start',
    needs: ['mount namespaces'],
    async run(machine) {
      for (const size of ['4k', '200k']) {
        const within = inMountNamespace(`mount -t tmpfs -o size=${size},mode=777 tmpfs ${machine.tmp}`);
        const { error } = await machine.turn({ within });
        expect([size, error.code]).toEqual([size, 'STATE_DIRECTORY_FULL']);
        expect(isInfrastructureFault(error)).toBe(true);
      }
    },
  },
  {
    name: 'a disk that is full for a while: a fault of the machine while it lasts, and the next turn succeeds',
    needs: ['mount namespaces'],
    async run(machine) {
      const within = inMountNamespace(`mount -t tmpfs -o size=40m,mode=777 tmpfs ${machine.tmp}`);
      await using program = machine.start('full-disk', [machine.config()], { within });
      const refused = { code: 'STATE_DIRECTORY_FULL', infrastructure: true };
      expect(JSON.parse(await program.line())).toEqual(['Hello.', refused, refused, 'Hello.']);
      expect(await program.exit).toBe(0);
    },
  },
  {
    name: 'a manager in another PID namespace: its lock holds, its record and its state are left alone, from inside and from outside',
    needs: ['PID namespaces'],
    async run(machine) {
      const stateDir = join(machine.root, 'state');
      const { program, runId } = await startManager(machine, { stateDir, deleteStateOnExit: true }, { within: inPidNamespace });
      await using _ = program;
      const look = async (within: readonly string[]) => {
        const looking = machine.start('look', [], { within });
        await using _looking = looking;
        return JSON.parse(await looking.line()) as unknown;
      };
      for (const within of [[], inPidNamespace]) {
        const seen = { runs: 0, leftovers: 0, reaped: { processes: 0, directories: 0 } };
        const [looked, { error }] = await Promise.all([look(within), machine.turn({ within, config: { stateDir } })]);
        expect(looked).toMatchObject({
          ...seen,
          foreign: [{ runId, whose: expect.stringMatching(/^process \d+ of another/) }],
        });
        expect([error.code, error.message]).toEqual(['STATE_DIRECTORY_LOCKED', expect.stringMatching(/of another container or machine/)]);
      }
      expect((await readdir(stateDir)).toSorted()).toEqual(expect.arrayContaining(['data', 'manager.lock', 'opencode.json']));
      // Its end is certain when nobody answers for it any more: the next one takes the directory over.
      program.child.kill('SIGKILL');
      await program.exit;
      expect(await machine.turn({ within: inPidNamespace, config: { stateDir, deleteStateOnExit: true } })).toMatchObject(answered);
      expect(await look([])).toMatchObject({ leftovers: 1, foreign: [] });
    },
  },
  {
    name: 'a manager and its guard killed during the start, with credentials copied: found and removed',
    needs: ['Linux'],
    async run(machine) {
      const authFile = join(machine.root, 'auth.json');
      await writeFile(authFile, JSON.stringify({ scripted: { type: 'api', key: 'sk-test-key' } }));
      const binary = join(await programs(machine, { slow: '[ "$1" = --version ] && echo 1.18.33 && exit\nexec sleep 60' }), 'slow');
      await using program = machine.start('manager', [machine.config({ authFile, binary }), []]);
      const stateDir = await vi.waitFor(
        async () => {
          const name = (await readdir(machine.tmp)).find((entry) => entry.startsWith('opencode-manager-state-'));
          const directory = join(machine.tmp, name ?? 'none');
          await access(join(directory, 'data', 'opencode', 'auth.json'));
          return directory;
        },
        { timeout: 20_000, interval: 5 },
      );
      const runId = (JSON.parse(await readFile(join(stateDir, 'manager.lock'), 'utf8')) as { runId: string }).runId;
      await killWithGuard(program.child.pid!, runId);
      await program.exit;
      await using looking = machine.start('look', []);
      expect(JSON.parse(await looking.line())).toMatchObject({ leftovers: 1, reaped: { directories: 1 } });
      await expect(stat(stateDir)).rejects.toThrow('ENOENT');
    },
  },
  {
    name: 'a guard that somebody kills, twice, where programs are of BusyBox built small (a grep without -z, a sleep of whole seconds): another one starts, told once, and does its work when a SIGTERM ends the manager',
    needs: ['Linux'],
    async run(machine) {
      const [grep, sleep] = await Promise.all(['grep', 'sleep'].map((name) => findOnPath(name, process.env['PATH'] ?? '')));
      const PATH = pathWith(
        await programs(machine, {
          grep: `case "$1" in -*z*) exit 2;; esac\nexec ${grep} "$@"`,
          sleep: `case "$1" in *.*) exit 1;; esac\nexec ${sleep} "$@"`,
        }),
      );
      const { program, runId, stateDir } = await startManager(machine, {}, { env: { PATH } });
      await using _ = program;
      for (const _time of [1, 2]) {
        const [guard] = await guardsOf(runId);
        process.kill(guard!, 'SIGKILL');
        await vi.waitFor(async () => expect(await guardsOf(runId)).toEqual([expect.not.toBeOneOf([guard])]), {
          timeout: 5000,
          interval: 10,
        });
      }
      program.child.kill('SIGTERM');
      await program.exit;
      expect(program.stderr.match(/GUARD_LOST/g)).toHaveLength(1);
      await vi.waitFor(async () => expect(await findMarkedProcesses(runId)).toEqual([]), { timeout: 5000, interval: 20 });
      await vi.waitFor(() => expect(stat(stateDir)).rejects.toThrow('ENOENT'), { timeout: 5000, interval: 20 });
    },
  },
  {
    name: 'the guard of a dead manager meets its successor: lock and state stay',
    needs: ['Linux'],
    async run(machine) {
      const temporaryState = join(machine.root, 'state');
      const lockFile = join(temporaryState, 'manager.lock');
      const record = join(machine.root, 'record.json');
      await mkdir(temporaryState);
      await writeFile(join(temporaryState, 'opencode-manager-state.json'), '{"product":"opencode-manager","layout":1}');
      await writeFile(lockFile, JSON.stringify({ pid: process.pid, startTime: '1', runId: 'successor' }));
      await writeFile(record, '');
      const state = { path: temporaryState, remains: 'nothing' } as const;
      const task = { runId: 'predecessor', state, lockFile, files: [record], directories: [] };
      await using program = machine.start('orphan-guard', [task]);
      await program.exit;
      await vi.waitFor(() => expect(stat(record)).rejects.toThrow('ENOENT'), { timeout: 5000, interval: 20 });
      expect((await readdir(temporaryState)).toSorted()).toEqual(['manager.lock', 'opencode-manager-state.json']);
    },
  },
  {
    name: 'a process that no signal ends: the stop fails within its bound, keeps the evidence, and succeeds when it is tried again',
    needs: ['the freezer of control groups v1'],
    async run(machine) {
      vi.stubEnv('TMPDIR', machine.tmp);
      const server = await launchServer(machine.config());
      const { runId, stateDir } = server;
      const marked = spawn('sleep', ['600'], { env: { PATH: process.env['PATH'], OPENCODE_MANAGER_RUN_ID: runId }, stdio: 'ignore' });
      const thaw = await freeze(marked.pid!);
      try {
        const startedAtMs = performance.now();
        const error = await failureOf(server.stop());
        expect(performance.now() - startedAtMs).toBeLessThan(5000);
        expect([error.code, error.details['pids']]).toEqual(['SERVER_STOP_INCOMPLETE', [marked.pid]]);
        expect(await readFile(join(stateDir, 'manager.lock'), 'utf8')).toContain(runId);
        expect(await readdir(join(machine.tmp, `opencode-manager-${process.getuid!()}`))).toEqual([`${runId}.alive`, `${runId}.json`]);
        expect(await guardsOf(runId)).toHaveLength(1);
      } finally {
        await thaw();
      }
      expect((await failureOf(server.relaunch())).code).toBe('SERVER_EXITED');
      expect(await server.stop()).toMatchObject({ stateDeleted: true, endedBy: 'already-gone' });
      expect(await guardsOf(runId)).toEqual([]);
    },
  },
  {
    name: 'a link in the place of the state directory: followed; its owner decides',
    needs: ['another user who can read this checkout'],
    async run(machine) {
      await mkdir(join(machine.root, 'real'), { mode: 0o700 });
      await symlink(join(machine.root, 'real'), join(machine.root, 'link'));
      expect(await machine.turn({ config: { stateDir: join(machine.root, 'link') } })).toMatchObject({ text: 'Hello.' });
      const left = await readdir(join(machine.root, 'real'));
      expect(left).toContain('opencode-manager-state.json');
      expect(left.filter((name) => name.startsWith('manager.'))).toEqual([]);
      await rm(join(machine.root, 'link'));
      const [command, ...args] = [...stranger, 'ln', '-s', join(machine.root, 'real'), join(machine.root, 'planted')];
      expect(can(command, ...args)).toBe(true);
      const { error } = await machine.turn({ config: { stateDir: join(machine.root, 'planted') } });
      expect([error.code, error.message]).toEqual(['STATE_DIRECTORY_UNSAFE', expect.stringContaining("is another user's link")]);
    },
  },
];

async function killWithGuard(pid: number, runId: string): Promise<void> {
  // Stopped, it cannot start another guard in time.
  process.kill(pid, 'SIGSTOP');
  for (const guard of await guardsOf(runId)) process.kill(guard, 'SIGKILL');
  process.kill(pid, 'SIGKILL');
}

async function canFreeze(): Promise<boolean> {
  const group = join(freezers, `ocm-test-${process.pid}`);
  return mkdir(group)
    .then(() => rmdir(group))
    .then(
      () => true,
      () => false,
    );
}

/** A frozen process takes a SIGKILL when it is thawed, no sooner. */
async function freeze(pid: number): Promise<() => Promise<void>> {
  const group = join(freezers, `ocm-test-${process.pid}`);
  await mkdir(group);
  await writeFile(join(group, 'cgroup.procs'), String(pid));
  await writeFile(join(group, 'freezer.state'), 'FROZEN');
  await vi.waitFor(async () => expect((await readFile(join(group, 'freezer.state'), 'utf8')).trim()).toBe('FROZEN'), { timeout: 5000 });
  return async () => {
    await writeFile(join(group, 'freezer.state'), 'THAWED');
    await vi.waitFor(() => rmdir(group), { timeout: 5000, interval: 20 });
  };
}

afterEach(() => {
  vi.unstubAllEnvs();
});

const fill = { name: 'bash', arguments: { command: 'head -c 1G /dev/zero > "$TMPDIR/fill"; true', description: 'Fill' } };
const rules = [{ when: { user: 'fill it' }, reply: [{ toolCalls: [fill] }, 'Filled.'] }, { reply: 'Hello.' }];

for (const { name, needs: needed, run } of rows) {
  const missing = needed.filter((need) => !needs[need]);
  const told = missing.length === 0 ? name : `${name} (not here: needs ${missing.join(', ')})`;
  test.skipIf(missing.length > 0)(`crowded machines: ${told}`, { timeout: 90_000 }, async () => {
    await using machine = await openMachine({ rules });
    await run(machine);
    await machine.expectNothingLeft();
  });
}
