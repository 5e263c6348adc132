import { Socket } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/** What the guard of a worker looks after. */
export interface WorkerGuardOptions {
  /** The directory of the worker: it goes with the worker, however that ends. */
  readonly directory: string;
  /** A worker that gives no sign for so long, in milliseconds, works no more: what its server does is ended. */
  readonly silenceMs: number;
}

/** What looks after a worker, from before its server starts until nothing is left. */
export interface WorkerGuard extends AsyncDisposable {
  /** Names what every process that descends from the worker's server has in its environment: `NAME=VALUE`. */
  watch(marker: string): void;
}

/** File whose number grows while the worker works, and the one that names its server. */
const [beatName, markerName] = ['heartbeat', 'marker'];

/** How often the worker gives a sign, and the guard looks, in milliseconds. */
const beatMs = 500;

/**
 * A worker that is stopped (SIGSTOP, a frozen machine) keeps its process, and its server works on: it would go on spending while another host has its
 * tasks. This shell ends the server and its tools when the worker gives no sign for as long as a lease needs to be lost, and once more for each silence. When the worker is gone it
 * waits until nothing is left of its server (which that one's own guard ends), and removes its directory: again and again, since a git that it has
 * started may still write there.
 */
const guardScript = `
trap '' INT TERM HUP
directory="$1"; rounds="$2"
exec 3<&0
( read -r word <&3; : > "$directory/gone" ) 2>/dev/null &
marked() {
  marker=
  read -r marker < "$directory/${markerName}"
  [ -n "$marker" ] || return
  if [ -d /proc/self ]; then
    for path in $(grep -lzxF -- "$marker" /proc/[0-9]*/environ 2>/dev/null); do
      path="\${path#/proc/}"
      echo "\${path%/environ}"
    done
  else
    ps -axEww -o pid=,command= | grep -F -- "$marker" | grep -v grep | awk '{print $1}'
  fi
}
pause() { sleep 0.5 2>/dev/null || sleep 1; }
last=; same=0
while [ -d "$directory" ] && ! [ -e "$directory/gone" ]; do
  beat=
  read -r beat < "$directory/${beatName}"
  if [ "$beat" = "$last" ]; then same=$((same + 1)); else same=0; last="$beat"; fi
  if [ $same -ge $rounds ]; then
    pids=$(marked)
    [ -n "$pids" ] && kill -9 $pids 2>/dev/null
    same=0
  fi
  pause
done
round=0
while pids=$(marked); [ -n "$pids" ] && [ $round -lt 60 ]; do
  round=$((round + 1))
  [ $round -gt 20 ] && kill -9 $pids 2>/dev/null
  pause
done
round=0
while rm -rf -- "$directory" 2>/dev/null; [ -d "$directory" ] && [ $round -lt 60 ]; do
  round=$((round + 1))
  pause
done
exit 0
`;

/** Starts the guard of a worker, and gives it signs until it is let go: then it removes the directory. */
export function startWorkerGuard({ directory, silenceMs }: WorkerGuardOptions): WorkerGuard {
  let beats = 0;
  const beat = () => {
    try {
      writeFileSync(join(directory, beatName), `${(beats += 1)}\n`);
    } catch {
      // No room, or no directory: the guard then takes it for a silence, and the tasks go on elsewhere.
    }
  };
  beat();
  const timer = setInterval(beat, beatMs);
  const rounds = Math.max(2, Math.ceil(silenceMs / beatMs));
  const guard = execa('sh', ['-c', guardScript, 'ocm-worker-guard', directory, String(rounds)], {
    env: { PATH: [process.env['PATH'], '/usr/local/bin', '/usr/bin', '/bin'].filter(Boolean).join(':') },
    extendEnv: false,
    cwd: '/',
    detached: true,
    cleanup: false,
    stdin: 'pipe',
    stdout: 'ignore',
    stderr: 'ignore',
    reject: false,
  });
  guard.nodeChildProcess.unref();
  guard.stdin.on('error', () => undefined);
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  return {
    watch: (marker) => writeFileSync(join(directory, markerName), `${marker}\n`),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      // Its end is waited for: until here it must not keep this process.
      guard.nodeChildProcess.ref();
      guard.stdin.end();
      await guard;
    },
  };
}
