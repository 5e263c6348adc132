import type { Protocol, ProtocolName } from './protocol.ts';
import { protocolV1 } from './v1/protocol.ts';
import { protocolV2 } from './v2/protocol.ts';

const protocols: Readonly<Record<ProtocolName, Protocol>> = { v1: protocolV1, v2: protocolV2 };

/** The protocol of a name: what crosses to another thread or process is the name. */
export function protocolNamed(name: ProtocolName): Protocol {
  return protocols[name];
}

/** All protocols, the oldest first. */
export const knownProtocols: readonly Protocol[] = Object.values(protocols);
