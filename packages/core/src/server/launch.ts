import type { ServerConfig } from '../config/index.ts';
import { OpencodeManagerError } from '../errors/index.ts';
import type { OpencodeServer } from './types.ts';

export async function launchServer(_config: ServerConfig = {}): Promise<OpencodeServer> {
  throw new OpencodeManagerError('INTERNAL', 'being written');
}
