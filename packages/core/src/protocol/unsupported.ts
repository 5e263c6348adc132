import { OpencodeManagerError } from '../errors/error.ts';
import type { Protocol, ProtocolCapabilities } from './protocol.ts';

/** Refuses what a protocol cannot do, before anything is sent. @throws `PROTOCOL_UNSUPPORTED` */
export function assertCapable(
  { name, capabilities, versions }: Pick<Protocol, 'name' | 'capabilities' | 'versions'>,
  capability: keyof ProtocolCapabilities,
  what: string,
): void {
  if (capabilities[capability]) return;
  throw new OpencodeManagerError(
    'PROTOCOL_UNSUPPORTED',
    `${what}: opencode from ${versions.min} to below ${versions.below} (protocol ${name}) cannot do this. Nothing was sent.`,
    { details: { protocol: name, capability } },
  );
}
