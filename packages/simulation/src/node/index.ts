export { runInNode, type NodeOptions } from './run-in-node.ts';
export { trapRealTime } from './trap.ts';
