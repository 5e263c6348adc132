// Small on purpose: who a process is can be asked without what starts and ends servers.
export { processOrigin } from './origin.ts';
export { isSameProcess, processStartTime } from './start-time.ts';
