// A manager in a process of its own that has one turn: launches a server as `config` (JSON, first argument) says, prompts it, stops it,
// and prints one line of what came of it, an error included.
import { launchServer, OpencodeManagerError, type ServerConfig } from '@opencode-manager/core';

const [config] = process.argv.slice(2).map((text) => JSON.parse(text) as ServerConfig);
const told = await haveTurn(config!).catch((error: unknown) => ({
  error: error instanceof OpencodeManagerError ? error.toJSON() : { message: String(error) },
}));
process.stdout.write(`${JSON.stringify(told)}\n`);

async function haveTurn(options: ServerConfig) {
  const server = await launchServer(options);
  try {
    const session = await server.createSession();
    const { text } = await session.prompt('say hello');
    const shell = await session.executeShell('echo from a shell');
    return { text, shell: JSON.stringify(shell.messages).includes('from a shell'), stopped: await server.stop() };
  } finally {
    await server.stop();
  }
}
