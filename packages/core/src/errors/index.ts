export { errorCatalogue, type ErrorCode } from './codes.ts';
export {
  isManagerError,
  OpencodeManagerError,
  toManagerError,
  type ErrorDetails,
  type ErrorOptions,
  type SerializedError,
} from './error.ts';
