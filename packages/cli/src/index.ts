export { main } from './main.ts';
export { exitCodes, type ExitCode } from './exit-codes.ts';
export type { TerminalStreams } from './terminal/index.ts';
