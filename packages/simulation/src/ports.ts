/** The ports of the pool's hosts, which this world implements; types alone, so that the world needs no Node. */
export type {
  AskAnswer,
  Clock,
  PoolPorts,
  PortCall,
  ServerPort,
  SessionPort,
  StreamNotice,
  StreamPort,
} from '@opencode-manager/actors/hosts';
export type { SerializedError, TurnRequest } from '@opencode-manager/core';
