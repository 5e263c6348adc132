export { errorCatalogue, type ErrorCode } from './codes.ts';
export { isManagerError, OpencodeManagerError, type ErrorDetails, type SerializedError } from './error.ts';
export { assertCallOptions } from './call-options.ts';
export { assertKnownNames } from './known-options.ts';
export { byNearness, didYouMean } from './nearest.ts';
export { databaseFailure, exhaustionOf, isInfrastructureFault, systemFaultOf } from './infrastructure.ts';
export { currentDirectoryGone, toManagerError } from './to-manager-error.ts';
