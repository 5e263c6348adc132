export { createOperations, type OperationsContext } from './operations.ts';
export { createSession, type SessionContext } from './session.ts';
