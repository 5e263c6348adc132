// A server whose file system is full for a while: a turn, a new session on the full one, a turn that fills it, a turn when there is room
// again. Prints what each gave.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isInfrastructureFault, isManagerError, launchServer, type ServerConfig } from '@opencode-manager/core';

const config = JSON.parse(process.argv[2]!) as ServerConfig;
await using server = await launchServer(config);
const fill = join(server.stateDir, 'tmp', 'fill');

async function turn(): Promise<string> {
  const session = await server.createSession();
  return (await session.prompt('say hello')).text;
}

async function refusal(call: Promise<unknown>): Promise<object> {
  const error = await call.then(
    () => 'no refusal',
    (reason: unknown) => reason,
  );
  return { code: isManagerError(error) ? error.code : String(error), infrastructure: isInfrastructureFault(error) };
}

/** In ever smaller pieces, so that not a byte is left. */
async function fillUp(): Promise<void> {
  for (let size = 1024 * 1024; size >= 512; size /= 2) {
    while (await appends(Buffer.alloc(size)));
  }
}

async function appends(piece: Buffer): Promise<boolean> {
  return writeFile(fill, piece, { flag: 'a' }).then(
    () => true,
    () => false,
  );
}

const before = await turn();
await fillUp();
const meanwhile = await refusal(server.createSession());
await rm(fill);
const session = await server.createSession();
const inTurn = await refusal(session.prompt('fill it', { permissions: 'allow' }));
await rm(fill);
const after = await turn();
process.stdout.write(`${JSON.stringify([before, meanwhile, inTurn, after])}\n`);
