export { createServerFiles } from './server-files.ts';
export { createInstructionsStore } from './instructions.ts';
export { createOperations } from './operations.ts';
export { createSession, type SessionContext } from './session.ts';
