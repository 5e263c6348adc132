import type { Readable, Writable } from 'node:stream';
import { styleText } from 'node:util';
import { Redactor } from '@opencode-manager/core/secrets';
import { outletOf } from './outlet-of.ts';
import type { Outlet } from './outlet.ts';
import { versioned } from './versioned.ts';
import { jsonText } from '../render/printable.ts';

const styles = ['bold', 'dim', 'red', 'green', 'yellow', 'blue'] as const;

/** What gives a text its colour or weight, or leaves it as it is. */
type Colors = Readonly<Record<(typeof styles)[number], (text: string) => string>>;

/** What a command may touch of the process it runs in. Tests hand in their own streams. */
export interface TerminalStreams {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly env: NodeJS.ProcessEnv;
  /** Where there is nobody to read them: puts the notices into this file. */
  readonly keepLog?: (path: string) => void;
}

/**
 * Results go to stdout, everything else to stderr, both without the secrets that the redactor knows. Colours follow each stream: off when it is not a terminal, when
 * `NO_COLOR` is set or `TERM` is `dumb`.
 */
export interface Terminal {
  readonly streams: TerminalStreams;
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: Outlet;
  readonly stderr: Outlet;
  /** Given to every server that a command starts, so that it learns their secrets. */
  readonly redactor: Redactor;
  /** Colours for stdout. */
  readonly colors: Colors;
  /** Colours for stderr. */
  readonly noticeColors: Colors;
  /** True when stderr is a terminal that can be redrawn. */
  readonly interactive: boolean;
  /** Writes a line of the result to stdout. */
  readonly result: (line: string) => void;
  /** Writes one JSON Lines record to stdout; `label` names it in a report of its loss. */
  readonly record: (record: object, label?: string) => void;
  /** Writes a line to stderr. */
  readonly notice: (line: string) => void;
  /** Writes text to stderr as it is: what is redrawn there. */
  readonly draw: (text: string) => void;
  /** Takes away the `^C` that a terminal shows at the beginning of a line for a Ctrl-C. */
  readonly clearEcho: () => void;
  /** Width of stderr in columns. */
  readonly width: number;
  /** Its height in lines. */
  readonly height: number;
}

/** The terminal over the process's own streams, or over those of a test. */
export function createTerminal(streams: TerminalStreams = process): Terminal {
  const { env } = streams;
  const redactor = new Redactor();
  const interactive = streams.stderr.isTTY === true && env['TERM'] !== 'dumb';
  const [stdout, stderr] = [outletOf(streams.stdout), outletOf(streams.stderr)];
  return {
    streams,
    env,
    stdout,
    stderr,
    redactor,
    colors: colorsOf(streams.stdout, env),
    noticeColors: colorsOf(streams.stderr, env),
    interactive,
    get width() {
      return streams.stderr.columns ?? 80;
    },
    get height() {
      return streams.stderr.rows ?? 24;
    },
    result: (line) => stdout.write(`${redactor.text(line)}\n`),
    record: (record, label) => stdout.write(`${jsonText(redactor.json(versioned(record)))}\n`, label),
    notice: (line) => stderr.write(`${redactor.text(line)}\n`),
    draw: (text) => stderr.write(redactor.text(text)),
    clearEcho: () => interactive && stderr.write('\r\u001B[K'),
  };
}

function colorsOf(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): Colors {
  const wanted = wantsColors(stream, env);
  const paint = (style: keyof Colors) => (text: string) => (wanted ? styleText(style, text, { validateStream: false }) : text);
  return Object.fromEntries(styles.map((style) => [style, paint(style)])) as Colors;
}

function wantsColors(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  if (env['NO_COLOR']) return false;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}
