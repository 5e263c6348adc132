import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exitCodeFile } from '../protocol/index.ts';

/** Where shell lines leave their exit codes. */
export interface ExitCodes {
  fileOf(messageId: string): string;
  /** null for a line that left none: its syntax was wrong, or its shell was killed. */
  read(messageId: string): Promise<number | null>;
}

export function createExitCodes(directory: string): ExitCodes {
  const fileOf = (messageId: string) => join(directory, exitCodeFile(messageId));
  return {
    fileOf,
    async read(messageId) {
      const text = await readFile(fileOf(messageId), 'utf8').catch(() => '');
      return /^\d{1,3}$/.test(text) ? Number(text) : null;
    },
  };
}
