// A process of its own: watches a peer, closes the monitor, and must then end by itself. Prints what still holds it.
import { EventMonitor } from '../../src/index.ts';
import { startSsePeer } from './sse-peer.ts';

const peer = await startSsePeer();
const monitor = EventMonitor.open(peer);
await monitor.ready();
const events: string[] = [];
monitor.on({}, (event) => events.push(event.type));
peer.publish('s', 'session.idle', {});
for await (const event of monitor.streamEvents({ type: 'session.idle' })) {
  events.push(`read ${event.type}`);
  break;
}
await monitor.close();
await peer[Symbol.asyncDispose]();
const held = () => process.getActiveResourcesInfo().filter((kind) => kind === 'MessagePort' || kind === 'Worker' || kind === 'Timeout');
// A port closes in a turn of its own of the event loop, or two.
for (let turn = 0; turn < 50 && held().length > 0; turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
const holding = held();
process.stdout.write(JSON.stringify({ events, holding, argv: process.execArgv }));
