import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The command as it is installed. It takes the `node` that `PATH` has: give it `ocmEnvironment`. */
export const ocm = fileURLToPath(new URL('../../../cli/bin/ocm.js', import.meta.url));

/** This process's environment, with the node that runs this process found first. */
export const ocmEnvironment: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
};
