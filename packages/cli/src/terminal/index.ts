export { createTerminal, type Terminal, type TerminalStreams } from './terminal.ts';
