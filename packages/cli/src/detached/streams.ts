import { closeSync, openSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import type { TerminalStreams } from '../terminal/index.ts';

/** Set for a process that goes on in the background. */
export const detachedVariable = 'OCM_DETACHED';

/** The channel to the process that has started it: gets the launch record, and nothing else. */
const channel = 3;

/**
 * The streams of a process in the background. Results are in the directory of its run, so standard output goes nowhere but for the launch
 * record; notices go to whoever has started it, as long as that one listens, and into the log of the run.
 */
export function detachedStreams({ stdin, env }: TerminalStreams): TerminalStreams {
  const log = new Log();
  return {
    stdin,
    env,
    stdout: lines((line) => {
      if (line.startsWith('{"type":"launch"')) tell(channel, `${line}\n`);
    }),
    stderr: lines((line) => {
      tell(2, `${line}\n`);
      log.write(`${new Date().toISOString()} ${line}\n`);
    }),
    keepLog: (path) => log.open(path),
  };
}

function lines(onLine: (line: string) => void): Writable {
  let rest = '';
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      const parts = `${rest}${chunk.toString()}`.split('\n');
      rest = parts.pop()!;
      for (const line of parts) onLine(line);
      done();
    },
  });
}

/** Whoever has started it may be gone. */
function tell(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // Nobody listens any more.
  }
}

/** What is said before the directory of the run is there is kept for it. */
class Log {
  #early: string[] | undefined = [];
  #fd: number | undefined;

  write(text: string): void {
    if (this.#early) this.#early.push(text);
    else if (this.#fd !== undefined) this.#append(text);
  }

  open(path: string): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    try {
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = openSync(path, 'a', 0o600);
      this.#append(early.join(''));
    } catch {
      // A log is for looking at: nothing depends on it.
    }
  }

  #append(text: string): void {
    try {
      writeSync(this.#fd!, text);
    } catch {
      // A full disk ends the run by its journal.
    }
  }
}
