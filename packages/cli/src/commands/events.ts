import type { MonitorEvent } from '@opencode-manager/events';
import { OpencodeManagerError } from '@opencode-manager/core';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { ParametersOf } from '../manager-socket/index.ts';
import { parseCount } from '../options/index.ts';
import type { EventsFlags } from '../flags.ts';
import { oneLine } from '../render/index.ts';
import { snakeCased, type Terminal } from '../terminal/index.ts';
import { withManager } from './client.ts';

/** `ocm events`: follows the events of a running manager. */
export function events(terminal: Terminal, flags: EventsFlags): Promise<ExitCode> {
  return withManager(flags, async (manager, signal) => {
    const limit = flags.limit === undefined ? Infinity : parseCount(flags.limit, '--limit', { min: 1, max: 1_000_000_000 });
    let count = 0;
    for await (const event of manager.stream('events', filterOf(flags), { signal })) {
      if (flags.json) terminal.record(snakeCased(event) as object);
      else terminal.result(describe(event, terminal));
      count += 1;
      if (count === limit) break;
    }
    return exitCodes.ok;
  });
}

function filterOf(flags: EventsFlags): ParametersOf<'events'> {
  const { plane } = flags;
  if (plane !== undefined && plane !== 'lifecycle' && plane !== 'stream') {
    throw new OpencodeManagerError('USAGE', `--plane: ${JSON.stringify(plane)} is neither lifecycle nor stream.`);
  }
  return {
    ...(flags.session && { session_id: flags.session }),
    ...(flags.type && { type: flags.type }),
    ...(flags.directory !== undefined && { directory: flags.directory }),
    ...(plane !== undefined && { plane }),
  };
}

function describe(event: MonitorEvent, { colors, streams }: Terminal): string {
  const head = `${String(event.sequence).padStart(6)}  ${event.type.padEnd(18)}  ${(event.sessionId ?? '-').padEnd(30)}`;
  const room = Math.max(20, (streams.stdout.columns ?? 160) - head.length - 2);
  return `${head}  ${colors.dim(oneLine(JSON.stringify(lineOf(event)), room))}`;
}

function lineOf(event: MonitorEvent): unknown {
  if ('data' in event) return event.type === 'other' ? event.data : withoutRecords(event.data);
  const { sequence: _sequence, type: _type, plane: _plane, ...notice } = event;
  return notice;
}

/** A line has no room for saying all twice; `--json` has the records of the server too. What a tool calls `raw` is none. */
export function withoutRecords(data: object): object {
  return Object.fromEntries(Object.entries(data).map(([name, told]) => [name, hasRecord(told) ? { ...told, raw: undefined } : told]));
}

const hasRecord = (value: unknown): value is object => typeof value === 'object' && value !== null && 'raw' in value;
