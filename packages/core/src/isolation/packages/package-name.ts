import { isAbsolute } from 'node:path';

/** Whether a text names a package, and not a path. */
export const isPackage = (spec: string): boolean => !/^(file:|\.{1,2}\/|~)/.test(spec) && !isAbsolute(spec);
