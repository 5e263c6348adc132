export { runCase, type Metrics, type Settings, type Variant } from './case/run-case.ts';
export { runAtOnce } from './measure/concurrency.ts';
export { cpuSecondsOf, cpuSecondsOfTree, peakMemoryMb, processCpuUs, threadCpuUs } from './measure/cpu.ts';
export { watchEventLoop } from './measure/event-loop.ts';
export { liveHeapBytes } from './measure/memory.ts';
export { privateEnvironment } from './measure/private-environment.ts';
export { median, quantile } from './measure/statistics.ts';
export { startSyntheticServer, syntheticBinary, type SyntheticServer } from './synthetic/start.ts';
export type { FloodOrder } from './synthetic/streams.ts';
