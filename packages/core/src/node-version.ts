import { OpencodeManagerError } from './errors/index.ts';

// Comes before every other module of this package: under an older Node undici and others fail while they load, and say nothing of versions.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  const error = new OpencodeManagerError(
    'PLATFORM_UNSUPPORTED',
    `opencode-manager needs Node 22.19 or newer; this is Node ${process.versions.node} (${process.execPath}).`,
    { details: { node: process.versions.node } },
  );
  // Node prints it when nobody catches it: where this module throws helps nobody.
  error.stack = String(error);
  throw error;
}
