import { Socket } from 'node:net';
import { execa } from 'execa';
import { runMarkerVariable } from './table.ts';

/** A small process that outlives a killed manager for just as long as it takes to clean up after it. */
export interface Guard {
  readonly pid: number;
  /** Tells the guard that the manager has cleaned up itself; resolves when it is gone. */
  dismiss(): Promise<void>;
}

export interface GuardTask {
  readonly runId: string;
  /** Removed with everything in it when the manager dies; absent for a state directory that stays. */
  readonly temporaryState?: string;
  /** Files of the run to remove (its record, its lock). */
  readonly files: readonly string[];
  /** Removed when empty. */
  readonly registry: string;
}

/**
 * Waits on standard input, whose other end the manager holds: end of file without the word `done` means that the manager
 * is gone, however it went. It then kills what carries the run's marker until nothing is left (a shell of about 1 MB
 * instead of a Node process of 40), and removes the run's files. `/proc` serves Linux, `ps` macOS.
 */
const guardScript = `
trap '' INT TERM HUP
read -r word
[ "$word" = done ] && exit 0
marker="$1=$2"; state="$3"; registry="$4"; shift 4
marked() {
  if [ -d /proc/self ]; then
    grep -lzxF -- "$marker" /proc/[0-9]*/environ 2>/dev/null | sed 's|/proc/||; s|/environ||'
  else
    ps -axEww -o pid=,command= | grep -F -- "$marker" | grep -v grep | awk '{print $1}'
  fi
}
round=0
while [ $round -lt 50 ]; do
  pids=$(marked)
  [ -z "$pids" ] && break
  kill -9 $pids 2>/dev/null
  round=$((round + 1))
  sleep 0.05
done
rm -f -- "$@"
[ -n "$state" ] && rm -rf -- "$state"
rmdir -- "$registry" 2>/dev/null
exit 0
`;

/**
 * Starts the guard of a run. Its environment is empty (so it carries no marker itself), it leads a session of its own
 * (so a Ctrl-C on the terminal does not reach it), and what it is told holds no secret.
 */
export function startGuard({ runId, temporaryState = '', files, registry }: GuardTask): Guard {
  const shell = execa(
    '/bin/sh',
    ['-c', guardScript, 'opencode-manager-guard', runMarkerVariable, runId, temporaryState, registry, ...files],
    {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      extendEnv: false,
      cwd: '/',
      detached: true,
      cleanup: false,
      stdin: 'pipe',
      stdout: 'ignore',
      stderr: 'ignore',
      reject: false,
    },
  );
  // The guard must not keep the manager's process alive, and may be gone before it.
  const child = shell.nodeChildProcess;
  child.unref();
  shell.stdin.on('error', () => undefined);
  if (shell.stdin instanceof Socket) shell.stdin.unref();
  return {
    pid: shell.pid ?? 0,
    async dismiss() {
      child.ref();
      shell.stdin.end('done\n');
      await shell;
    },
  };
}
