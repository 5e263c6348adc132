import { launchServer } from '@opencode-manager/core';
import { EventMonitor } from '@opencode-manager/events';
import { startScriptedModel, temporaryWorkspace } from '@opencode-manager/testing';

await using model = await startScriptedModel({ rules: [{ when: { user: 'Describe' }, reply: 'A repository with one file.' }] });
await using workspace = await temporaryWorkspace({ files: { 'readme.txt': 'Hello.\n' } });
await using server = await launchServer({ directory: workspace.path, opencodeConfig: model.opencodeConfig() });

await using monitor = EventMonitor.open(server);
monitor.on({ type: '*.asked' }, (event) => console.error(event.type, event.sessionId));
await monitor.ready();

const session = await server.createSession();
const events = monitor.sessionEvents(session.id);
await session.promptAsync('Describe this repository');
for await (const event of events) {
  if (event.type === 'part.delta') process.stdout.write(event.data.delta);
  if (event.type === 'session.idle') break;
}
