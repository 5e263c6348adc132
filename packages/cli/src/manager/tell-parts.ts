import { describePart, type ConfiguredPart, type OpencodeServer } from '@opencode-manager/core';
import { printable } from '../render/printable.ts';

export interface PartsListener {
  readonly notice: (line: string) => void;
  /** Present under `--json`. */
  readonly record?: (record: object) => void;
}

/** Second record of `--json` when MCP servers were still starting at the launch: all parts, as they are now. */
interface PartsRecord {
  readonly type: 'parts';
  readonly parts: readonly ConfiguredPart[];
}

/** What is configured and whether it works, as far as that is known now; nothing when the server does not say. */
export async function knownParts(server: OpencodeServer): Promise<readonly ConfiguredPart[]> {
  return server.parts().catch(() => []);
}

/**
 * Tells what is configured and does not work. The work does not wait for MCP servers that are starting: what becomes of them is told
 * when they have come up or have not.
 */
export function tellParts(server: OpencodeServer, known: readonly ConfiguredPart[], listener: PartsListener): void {
  const tell = (parts: readonly ConfiguredPart[]) => {
    for (const part of parts) if (part.status === 'failed') listener.notice(printable(describePart(part)));
  };
  tell(known.filter(({ kind }) => kind !== 'plugin'));
  if (!known.some(({ status }) => status === 'starting')) return;
  void settledParts(server).then((parts) => {
    if (!parts) return undefined;
    listener.record?.({ type: 'parts', parts } satisfies PartsRecord);
    return tell(parts.filter(({ kind }) => kind === 'mcp'));
  });
}

/** Undefined when the server was stopped or lost meanwhile, which is told elsewhere. */
async function settledParts(server: OpencodeServer): Promise<readonly ConfiguredPart[] | undefined> {
  return server.parts({ settled: true }).catch(() => undefined);
}
