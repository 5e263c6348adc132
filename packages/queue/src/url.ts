import { OpencodeManagerError } from '@opencode-manager/core/errors';

/** An engine that holds queues. */
export type Backend = 'redis' | 'postgres';

const backends: Readonly<Record<string, Backend>> = {
  'redis:': 'redis',
  'rediss:': 'redis',
  'valkey:': 'redis',
  'valkeys:': 'redis',
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
};

/** A queue by its address. */
export interface QueueAddress {
  readonly backend: Backend;
  /** As the driver takes it; may hold a password. */
  readonly url: string;
  /** The same without a password, for messages and records. */
  readonly shown: string;
}

/**
 * Reads the URL of a queue: `redis://`, `rediss://`, `valkey://`, `valkeys://`, `postgres://` or `postgresql://`.
 * @throws OpencodeManagerError `QUEUE_UNUSABLE`
 */
export function parseQueueUrl(text: string): QueueAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const backend = url && backends[url.protocol];
  if (!backend) {
    const kind = url ? `the scheme ${url.protocol}` : 'no scheme';
    throw new OpencodeManagerError(
      'QUEUE_UNUSABLE',
      `The URL of the queue has ${kind}. Write for example redis://127.0.0.1:6379 or postgres://user@127.0.0.1/database.`,
    );
  }
  const shown = new URL(url);
  if (shown.password !== '') shown.password = 'redacted';
  // Drivers take it as a parameter too.
  for (const name of new Set(shown.searchParams.keys())) if (/pass|secret|token/i.test(name)) shown.searchParams.set(name, 'redacted');
  const given = text.replace(/^valkey(s?):/, (_, secure: string) => `redis${secure}:`);
  return { backend, url: given, shown: shown.href };
}
