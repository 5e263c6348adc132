import { OpencodeManagerError } from '../../errors/error.ts';
import type { ProtocolCapabilities } from '../protocol.ts';

/** What opencode 2 has no route for. */
export function unsupportedByV2(what: string, capability: keyof ProtocolCapabilities): OpencodeManagerError {
  return new OpencodeManagerError('PROTOCOL_UNSUPPORTED', `${what}: opencode 2 (protocol v2) cannot do this. Nothing was sent.`, {
    details: { protocol: 'v2', capability },
  });
}
