export { createOperations } from './operations.ts';
export { createSession, type SessionContext } from './session.ts';
