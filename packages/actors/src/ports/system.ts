import { memoryBudget, readMemoryLimit } from '@opencode-manager/core';
import { systemClock } from './clock.ts';
import type { PoolPorts } from './index.ts';
import { openStreamPort, streamPort } from './monitor-stream.ts';
import { launchPort, serverPort } from './opencode-server.ts';

/** The real world. Needs Node; nothing else of the hosts does. */
export const systemPorts = {
  clock: systemClock,
  random: Math.random,
  launch: launchPort,
  openStream: openStreamPort,
  memoryBudget: async () => memoryBudget(await readMemoryLimit()),
  adoptServer: serverPort,
  adoptMonitor: streamPort,
} as const satisfies PoolPorts;
