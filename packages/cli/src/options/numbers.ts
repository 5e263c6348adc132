import { OpencodeManagerError } from '@opencode-manager/core/errors';

const unitBytes: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Bytes of a size such as `1500MB` or `2GiB`. @throws OpencodeManagerError `USAGE` */
export function parseSize(text: string, option: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(MB|GB|MiB|GiB)$/.exec(text.trim()) ?? [];
  const bytes = Math.round(Number(amount) * (unitBytes[unit ?? ''] ?? Number.NaN));
  if (bytes >= 1) return bytes;
  throw new OpencodeManagerError('USAGE', `${option}: ${JSON.stringify(text)} is not a size; write for example 1500MB or 2GiB.`, {
    details: { option },
  });
}

/** A whole number in a range, written in digits. @throws OpencodeManagerError `USAGE` */
export function parseCount(text: string, option: string, { min, max }: { readonly min: number; readonly max: number }): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new OpencodeManagerError('USAGE', `${option}: ${JSON.stringify(text)} is not a whole number from ${min} to ${max}.`, {
    details: { option },
  });
}
