import type { TurnError } from '../facts.ts';

const errorKinds: Readonly<Record<string, TurnError['kind']>> = {
  MessageAbortedError: 'aborted',
  APIError: 'provider',
  ContextOverflowError: 'overflow',
  ContentFilterError: 'filtered',
  MessageOutputLengthError: 'truncated',
  ProviderInitError: 'package',
};

/** opencode's error union (`{name, data}`) reduced to what an outcome needs. */
export function decodeTurnError(error: unknown): TurnError {
  const { name, data } = (error ?? {}) as { name?: string; data?: Record<string, unknown> };
  const message = typeof data?.['message'] === 'string' ? withoutStack(data['message']) : 'opencode gave no reason';
  // All that it says of a package that could not be installed or loaded.
  if (message.startsWith('Failed to initialize provider: ')) {
    return { kind: 'package', name: 'ProviderInitError', message: `${message}. Its package could not be installed, loaded or set up.` };
  }
  return {
    kind: errorKinds[name ?? ''] ?? 'other',
    name: name ?? 'UnknownError',
    message,
    ...(typeof data?.['statusCode'] === 'number' && { statusCode: data['statusCode'] }),
    ...(typeof data?.['isRetryable'] === 'boolean' && { retryable: data['isRetryable'] }),
  };
}

/** Of some errors opencode tells its own stack too. */
function withoutStack(message: string): string {
  return message.split(/\n\s+at /, 1)[0]!;
}
