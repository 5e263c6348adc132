import { temporaryWorkspace } from '@opencode-manager/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mcpServerScript } from './support/mcp-server.ts';
import { by } from './support/tested.ts';
import { userMachine, type UserMachine } from './support/user-machine.ts';

let machine: UserMachine;
beforeAll(async () => {
  machine = await userMachine({
    programs: { 'mcp-good': mcpServerScript, 'mcp-late': '#!/bin/sh\nsleep 1\nexec mcp-good\n' },
    config: () => ({
      opencodeConfig: { mcp: { late: { type: 'local', command: ['mcp-late'] }, good: { type: 'local', command: ['mcp-good'] } } },
    }),
  });
});
afterAll(() => machine?.[Symbol.asyncDispose]());

/** opencode 1 has a tool of its own for each tool of a server; opencode 2 names them in what it says of its tool `execute`. */
function offered(): boolean {
  const { tools, system } = machine.model.turnCalls.at(-1)!;
  const names = by({ v1: ['late_hello', 'good_hello'], v2: ['tools.late.hello(', 'tools.good.hello('] });
  return names.every((name) => by({ v1: tools.includes(name), v2: system.includes(name) }));
}

describe('the tools of MCP servers that take their time to start', () => {
  test('are offered to the very first turn, and to that of each further directory', async () => {
    const session = await machine.server.createSession();
    await session.prompt('hello');
    expect(offered()).toBe(true);
    await using other = await temporaryWorkspace();
    const operations = await machine.server.createOperations({ directory: other.path });
    await (await machine.server.getSession(operations.id, { directory: other.path })).prompt('hello');
    expect(offered()).toBe(true);
  });

  test('are offered to the next turn of a session whose server was started anew', async () => {
    const session = await machine.server.createSession();
    await session.prompt('hello');
    process.kill(machine.server.pid, 'SIGKILL');
    await machine.server.exited;
    await using server = await machine.server.relaunch();
    await (await server.getSession(session.id)).prompt('again');
    expect(offered()).toBe(true);
  });
});
