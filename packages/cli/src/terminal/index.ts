export { isSameFile, isWrittenAtOnce, statsOf, type Outlet } from './outlet.ts';
export { FileOutlet } from './file-outlet.ts';
export { StreamOutlet } from './stream-outlet.ts';
export { createTerminal, type Terminal, type TerminalStreams } from './terminal.ts';
export { snakeCased, versioned, withToldErrors } from './versioned.ts';
export { describeCode, describeLoss, isClosed } from './loss.ts';
