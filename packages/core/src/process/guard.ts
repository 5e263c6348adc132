import { Socket } from 'node:net';
import { delimiter } from 'node:path';
import { execa } from 'execa';
import { exhaustionOf, OpencodeManagerError } from '../errors/index.ts';
import { databaseName, markName } from '../isolation/mark.ts';
import { startDeadline, type Deadline } from './deadline.ts';
import { findShell } from './find-on-path.ts';
import { runMarkerVariable } from './table.ts';

/** A small process that outlives a killed manager for just as long as it takes to clean up after it. */
export interface Guard {
  /** Tells the guard that the manager has cleaned up itself; waits until it is gone, or until the deadline, and kills it then. */
  dismiss(deadline?: Deadline): Promise<void>;
}

export interface GuardTask {
  readonly runId: string;
  /** Deleted when the manager dies, as a whole or but for the database; absent for a state directory that stays. */
  readonly state?: { readonly path: string; readonly remains: 'nothing' | 'database' };
  /** Removed when it is still this run's: a successor may have taken the directory. */
  readonly lockFile: string;
  /** Files of the run to remove (its record, its socket); their names hold the run's id. */
  readonly files: readonly string[];
  /** Removed when empty. */
  readonly directories: readonly string[];
}

/**
 * Waits on standard input, whose other end the manager holds: end of file without the word `done` means that the manager
 * is gone, however it went. It then kills what carries the run's marker until nothing is left (a shell of about 1 MB
 * instead of a Node process of 40), and removes the run's files. `/proc` serves Linux, `ps` macOS.
 *
 * - What cannot be killed keeps its evidence: nothing is removed then, and `ocm doctor --reap` finds it.
 * - Of the state only a directory with our mark is deleted, the lock and the mark last, and only while the lock is this run's.
 * - BusyBox: its grep may know no `-z`, its sleep whole seconds alone.
 */
const guardScript = `
trap '' INT TERM HUP
read -r word
[ "$word" = done ] && exit 0
marker="$1=$2"; run="$2"; state="$3"; mark="$4"; lock="$5"; keep="$6"; shift 6
carries() { tr '\\0' '\\n' < "$1" 2>/dev/null | grep -qxF -- "$marker"; }
environments() {
  : | grep -z x >/dev/null 2>&1
  if [ $? -le 1 ]; then grep -lzxF -- "$marker" /proc/[0-9]*/environ 2>/dev/null
  else for path in /proc/[0-9]*/environ; do carries "$path" && echo "$path"; done
  fi
}
marked() {
  if [ -d /proc/self ]; then
    for path in $(environments); do
      path="\${path#/proc/}"
      echo "\${path%/environ}"
    done
  else
    ps -axEww -o pid=,command= | grep -F -- "$marker" | grep -v grep | awk '{print $1}'
  fi
}
ours() {
  line=
  [ -f "$lock" ] || return 0
  IFS= read -r line < "$lock"
  case "$line" in *'"runId":"'"$run"'"'*) return 0;; esac
  return 1
}
delete_state() {
  [ -f "$state/$mark" ] || return
  for entry in "$state"/* "$state"/.[!.]*; do
    [ "$entry" = "$state/$mark" ] && continue
    [ "$entry" = "$lock" ] && continue
    [ -n "$keep" ] && [ "$entry" = "$state/data" ] && continue
    ours || return
    rm -rf -- "$entry"
  done
  ours || return
  if [ -n "$keep" ]; then reduce_data; return; fi
  rm -f -- "$lock" "$state/$mark"
  rmdir -- "$state" 2>/dev/null
}
reduce_data() {
  for entry in "$state"/data/* "$state"/data/.[!.]* "$state"/data/opencode/* "$state"/data/opencode/.[!.]*; do
    case "$entry" in "$state"/data/opencode | "$state"/data/opencode/$keep*) continue;; esac
    ours || return 0
    rm -rf -- "$entry"
  done
}
round=0
while pids=$(marked); [ -n "$pids" ]; do
  [ $round -ge 50 ] && exit 1
  kill -9 $pids 2>/dev/null
  round=$((round + 1))
  sleep 0.05 2>/dev/null || sleep 1
done
[ -n "$state" ] && delete_state
ours && rm -f -- "$lock"
while [ "$1" != -- ]; do
  rm -f -- "$1"
  shift
done
shift
for directory; do rmdir -- "$directory" 2>/dev/null; done
exit 0
`;

/** Where a guard could not be started, or ended at once, another one is tried after this time, in milliseconds. */
const retryMs = 1000;

/** How long a guard may take to go, in milliseconds. */
const dismissMs = 1000;

/**
 * Starts the guard of a run, and another one when it is killed, which Node's warnings tell once. Its environment is empty (so it carries
 * no marker itself), it leads a session of its own (so a Ctrl-C on the terminal does not reach it), and what it is told holds no secret.
 * @throws `SHELL_MISSING`, `RESOURCES_EXHAUSTED`
 */
export async function startGuard(task: GuardTask): Promise<Guard> {
  const shell = await findShell(['sh', 'dash', 'bash']);
  if (shell === undefined) {
    throw new OpencodeManagerError(
      'SHELL_MISSING',
      'No shell (sh) was found on PATH or in /bin; one cleans up after a manager that is killed. Put a directory that has sh on PATH.',
    );
  }
  const first = spawnGuard(shell, task);
  if (first.pid === undefined) throw await notStarted(shell, first.exited);
  return keepGuard(shell, task, first);
}

async function notStarted(shell: string, exited: Promise<{ cause?: unknown }>): Promise<OpencodeManagerError> {
  const { cause } = await exited;
  const why = cause instanceof Error ? cause.message : 'unknown';
  return exhaustionOf(cause) ?? new OpencodeManagerError('SHELL_MISSING', `The shell ${shell} cannot be started (${why}).`, { cause });
}

function keepGuard(shell: string, task: GuardTask, first: GuardProcess): Guard {
  let current: GuardProcess | undefined;
  let retry: NodeJS.Timeout | undefined;
  let dismissed = false;
  let told = false;
  const replace = () => {
    if (dismissed) return;
    const next = spawnGuard(shell, task);
    if (next.pid === undefined) replaceLater();
    else watch(next);
  };
  const replaceLater = () => {
    retry = setTimeout(replace, retryMs).unref();
  };
  const watch = (guard: GuardProcess) => {
    const startedAtMs = performance.now();
    current = guard;
    void guard.exited.then(() => {
      current = undefined;
      if (!dismissed && !told) tellLoss(task.runId);
      told = true;
      return performance.now() - startedAtMs < retryMs ? replaceLater() : replace();
    });
  };
  watch(first);
  return {
    async dismiss(deadline = startDeadline(dismissMs)) {
      dismissed = true;
      clearTimeout(retry);
      await current?.dismiss(deadline);
    },
  };
}

function tellLoss(runId: string): void {
  process.emitWarning(
    `The guard of run ${runId}, which cleans up after this process should it be killed, was ended by somebody; another one was started.`,
    { type: 'OpencodeManagerWarning', code: 'GUARD_LOST' },
  );
}

interface GuardProcess {
  readonly pid: number | undefined;
  readonly exited: Promise<{ cause?: unknown }>;
  dismiss(deadline: Deadline): Promise<void>;
}

function spawnGuard(shell: string, { runId, state, lockFile, files, directories }: GuardTask): GuardProcess {
  const keep = state?.remains === 'database' ? databaseName : '';
  const named = [runMarkerVariable, runId, state?.path ?? '', markName, lockFile, keep];
  const guard = execa(shell, ['-c', guardScript, 'opencode-manager-guard', ...named, ...files, '--', ...directories], {
    // Its programs are where the manager's are: NixOS has them at places of its own.
    env: { PATH: [process.env['PATH'] ?? '', '/usr/local/bin', '/usr/bin', '/bin'].filter(Boolean).join(delimiter) },
    extendEnv: false,
    cwd: '/',
    detached: true,
    cleanup: false,
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    reject: false,
  });
  // The guard must not keep the manager's process alive, and may be gone before it.
  const child = guard.nodeChildProcess;
  child.unref();
  guard.stdin.on('error', () => undefined);
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  return {
    pid: guard.pid,
    exited: guard.then(({ cause }) => ({ cause })),
    async dismiss(deadline) {
      child.ref();
      guard.stdin.end('done\n');
      if (await deadline.settles(guard)) return;
      child.kill('SIGKILL');
      child.unref();
    },
  };
}
