export { createOperations, type OperationsContext } from './operations.ts';
export { assertIn, createSession, type SessionContext } from './session.ts';
