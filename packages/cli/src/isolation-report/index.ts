export { defaultLimits, differences, fingerprintDirectories } from './fingerprint.ts';
export { environmentHolds, filesOpenForWriting, isInside, placesInEnvironment, placesOutside } from './process-view.ts';
export { userOpencodeDirectories } from './user-directories.ts';
export { startIsolationWatch, type CheckStatus, type IsolationCheck, type IsolationWatch, type WatchedServer } from './watch.ts';
