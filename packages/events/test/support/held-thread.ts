import { afterAll, beforeAll } from 'vitest';
import { EventMonitor } from '../../src/index.ts';
import { startSsePeer, type SsePeer } from './sse-peer.ts';

/** Keeps one stream thread for all monitors of a file or a block: the start of a thread is most of what a short test of one costs. */
export function holdStreamThread(): void {
  let peer: SsePeer;
  let monitor: EventMonitor;
  beforeAll(async () => {
    peer = await startSsePeer();
    monitor = EventMonitor.open(peer, { reconnect: { minMs: 1, maxMs: 20 } });
    await monitor.ready();
  });
  afterAll(async () => {
    await monitor.close();
    await peer[Symbol.asyncDispose]();
  });
}
