import { PassThrough } from 'node:stream';
import { main } from '../../src/main.ts';

export interface CapturedRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process, with streams of its own; for commands that start no server. */
export async function runHere(...args: string[]): Promise<CapturedRun> {
  const [stdin, stdout, stderr] = [new PassThrough(), collector(), collector()];
  const exitCode = await main(args, { stdin, stdout: stdout.stream, stderr: stderr.stream, env: {} });
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

/** A stream that keeps what is written to it. */
export function collector(): { readonly stream: PassThrough; text(): string } {
  const stream = new PassThrough();
  let text = '';
  stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return { stream, text: () => text };
}
