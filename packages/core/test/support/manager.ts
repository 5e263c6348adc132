// A manager in a process of its own: launches a server as `config` (JSON, first argument) says, prints one line about it,
// runs the prompts of the second argument in sessions of their own, and waits to be ended.
import { launchServer, type ServerConfig } from '@opencode-manager/core';

const [config, prompts] = process.argv.slice(2).map((text) => JSON.parse(text) as unknown) as [ServerConfig, string[]];
const server = await launchServer(config);
const sessions = await Promise.all(prompts.map(() => server.createSession()));
await Promise.all(sessions.map((session, index) => session.promptAsync(prompts[index]!)));
const { runId, stateDir, pid, url } = server;
process.stdout.write(`${JSON.stringify({ runId, stateDir, pid, url, password: server.credentials().password })}\n`);
process.once('SIGUSR2', () => void server.stop().then(() => process.exit(0)));
