import type { MessageLine, ToolLine, TranscriptLine } from './lines.ts';

/** Longest text of one output that is shown, in characters; the file has all of it. */
const shownOutput = 2000;

/**
 * A transcript for people, one block a line of it. Control characters of agents and tools are taken out: what a model says must not move a
 * cursor or set a title.
 */
export function renderTranscript(lines: readonly TranscriptLine[]): string {
  return `${lines.map((line) => blockOf(line)).join('\n\n')}\n`;
}

type Blocks = { readonly [Type in TranscriptLine['type']]: (line: Extract<TranscriptLine, { type: Type }>) => string };

const blocks: Blocks = {
  transcript: ({ key, attempt, model }) => `# ${printable(key)}, attempt ${attempt}${model === null ? '' : `, ${printable(model)}`}`,
  message: messageBlock,
  tool: toolBlock,
  ask: ({ kind, permission = kind, patterns = [], answer }) =>
    `? ${printable(permission)} ${patterns.map(printable).join(', ')}: ${answer}`,
};

function blockOf(line: TranscriptLine): string {
  const block = blocks[line.type] as (line: TranscriptLine) => string;
  return block(line);
}

function messageBlock({ role, at, text, files, error, reasoning }: MessageLine): string {
  const named = files ? ` [${files.map(printable).join(', ')}]` : '';
  const failed = error === undefined ? '' : `\n! ${printable(error)}`;
  const thought = reasoning === undefined ? '' : `${indented(reasoning, '~ ')}\n`;
  return `${role === 'user' ? '>' : '<'} ${time(at)}${named}\n${thought}${printable(text).trimEnd()}${failed}`.trimEnd();
}

function toolBlock({ at, tool, input, status, output, ...line }: ToolLine): string {
  const took = line.duration_ms === null ? '' : `, ${(line.duration_ms / 1000).toFixed(1)} s`;
  const code = line.exit_code === undefined || line.exit_code === null ? '' : `, exit ${line.exit_code}`;
  const printed = output === '' ? '' : `\n${indented(cut(output), '  | ')}`;
  return `* ${time(at)} ${printable(tool)} ${inputOf(input)} (${status}${took}${code})${printed}`;
}

/** The fields of a call on one line. */
function inputOf(input: unknown): string {
  if (typeof input !== 'object' || input === null) return printable(String(input));
  const { command } = input as { command?: unknown };
  return oneLine(typeof command === 'string' ? command : JSON.stringify(input));
}

function oneLine(text: string): string {
  const line = printable(text).replaceAll(/\s+/g, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}

function cut(text: string): string {
  return text.length > shownOutput ? `${text.slice(0, shownOutput)}\n… ${text.length - shownOutput} more characters` : text;
}

function indented(text: string, prefix: string): string {
  return printable(text)
    .trimEnd()
    .split('\n')
    .map((line) => prefix + line)
    .join('\n');
}

function time(at: string | null): string {
  return at === null ? '' : at.slice(11, 19);
}

/** Without control characters, but line ends and tabs. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is taken out
  return text.replaceAll(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
