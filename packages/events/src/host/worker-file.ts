import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How to start a worker thread from the module that `moduleUrl` names. */
export interface WorkerFile {
  readonly filename: string;
  readonly execArgv: string[];
}

/**
 * Finds the worker's file beside the module that starts it: `.ts` when the sources run as they are, `.js` when they
 * were built (the compiler does not rewrite the extension inside `new URL()`). Sources resolve the other packages of
 * the repository through their source condition, so the thread gets it too. A built worker inherits no flags: some of
 * the main thread's (`--input-type`, for one) would keep it from starting.
 */
export function resolveWorkerFile(moduleUrl: string, relativePath: string): WorkerFile {
  const extension = extname(fileURLToPath(moduleUrl));
  return {
    filename: fileURLToPath(new URL(relativePath + extension, moduleUrl)),
    execArgv: extension === '.ts' ? ['--conditions=@opencode-manager/source'] : [],
  };
}
