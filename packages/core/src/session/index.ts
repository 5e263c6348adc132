export { createLeftFiles } from './left-files.ts';
export { createInstructionsStore } from './instructions.ts';
export { createOperations } from './operations.ts';
export { createSession, type SessionContext } from './session.ts';
