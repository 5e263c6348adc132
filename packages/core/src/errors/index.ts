export { errorCatalogue, type ErrorCode } from './codes.ts';
export { isManagerError, OpencodeManagerError, toManagerError, type ErrorDetails, type SerializedError } from './error.ts';
export { exhaustionOf, isInfrastructureFault, systemFaultOf } from './infrastructure.ts';
