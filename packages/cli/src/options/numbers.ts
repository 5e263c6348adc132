import { OpencodeManagerError } from '@opencode-manager/core';

/** A whole number in a range, written in digits. @throws OpencodeManagerError `USAGE` */
export function parseCount(text: string, option: string, { min, max }: { readonly min: number; readonly max: number }): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new OpencodeManagerError('USAGE', `${option}: ${JSON.stringify(text)} is not a whole number from ${min} to ${max}.`, {
    details: { option },
  });
}
