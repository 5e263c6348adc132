/**
 * Why a fault proxy refuses: a rule that says nothing it can do, a target that is no `http:` URL, or a port that another
 * process took while connections were refused.
 * @public
 */
export type FaultProxyErrorCode = 'FAULT_RULE_INVALID' | 'TARGET_INVALID' | 'PORT_LOST';

/**
 * The fault proxy cannot do what it was asked. The message names the field, the URL or the port.
 *
 * @example
 * try { proxy.rule(rule) }
 * catch (error) { if (error instanceof FaultProxyError) console.error(error.code, error.message) }
 * @public
 */
export class FaultProxyError extends Error {
  override readonly name = 'FaultProxyError';
  readonly code: FaultProxyErrorCode;

  constructor(code: FaultProxyErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
