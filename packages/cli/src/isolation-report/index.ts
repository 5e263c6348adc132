export { defaultLimits, differences, fingerprintDirectories, type Fingerprint, type FingerprintLimits } from './fingerprint.ts';
export { filesOpenForWriting, isInside, placesInEnvironment, placesOutside } from './process-view.ts';
export { userOpencodeDirectories } from './user-directories.ts';
export { startIsolationWatch, type CheckStatus, type IsolationCheck, type IsolationWatch, type WatchedServer } from './watch.ts';
