import { readFile } from 'node:fs/promises';
import { isUtf8 } from 'node:buffer';
import { buffer } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import type { PermissionPolicy } from '@opencode-manager/actors';
import { OpencodeManagerError } from '@opencode-manager/core';
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import * as z from 'zod';
import { permissionRuleSchema } from './schema.ts';

/**
 * The text of a file, or of standard input for `-`; nothing else ever reads standard input.
 * @throws OpencodeManagerError `USAGE`
 */
export async function readSource(path: string, stdin: Readable): Promise<string> {
  if (path === '-') return decode(await buffer(stdin), 'FILE', 'standard input');
  return await readText(path, 'FILE');
}

/** @throws OpencodeManagerError `USAGE` naming the option */
async function readText(path: string, option: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'does not exist' : code === 'EISDIR' ? 'is a directory' : `cannot be read (${code})`;
    throw new OpencodeManagerError('USAGE', `${option}: ${path} ${reason}. Name an existing file.`, {
      details: { option, path },
      cause: error,
    });
  }
  return decode(bytes, option, path);
}

/** @throws OpencodeManagerError `USAGE` with the place of the first byte that is no UTF-8 */
function decode(bytes: Buffer, option: string, path: string): string {
  if (isUtf8(bytes)) return bytes.toString();
  const offset = firstBadByte(bytes);
  const line = bytes.subarray(0, offset).toString().split('\n').length;
  const encoding = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff) ? 'utf16' : 'latin1';
  throw new OpencodeManagerError(
    'USAGE',
    `${option}: ${path} is not UTF-8: byte ${offset} is 0x${bytes[offset]!.toString(16)} (line ${line}). Convert it, for example with: iconv -f ${encoding} -t utf8`,
    { details: { option, path, offset, line } },
  );
}

/** Where a replacement character was put in, and is not the file's own. */
function firstBadByte(bytes: Buffer): number {
  let offset = 0;
  for (const before of bytes.toString().split('\uFFFD')) {
    offset += Buffer.byteLength(before);
    if (!bytes.subarray(offset, offset + 3).equals(Buffer.from('\uFFFD'))) return offset;
    offset += 3;
  }
  return offset;
}

/** The value of a JSON or JSONC file. @throws OpencodeManagerError `USAGE` with line and column */
export async function readJsoncFile(path: string, option: string): Promise<unknown> {
  const content = await readText(path, option);
  const errors: ParseError[] = [];
  const value: unknown = parse(content, errors, { allowTrailingComma: true });
  const first = errors[0];
  if (!first) return value;
  const before = content.slice(0, first.offset).split('\n');
  const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  throw new OpencodeManagerError('USAGE', `${option}: ${path} is not JSONC: ${printParseErrorCode(first.error)} at ${place}.`, {
    details: { option, path },
  });
}

/**
 * What `--permissions` names: `deny`, `allow`, or a file with a list of rules.
 * @throws OpencodeManagerError `USAGE`
 */
export async function readPermissions(value: string): Promise<PermissionPolicy> {
  if (value === 'deny' || value === 'allow') return value;
  const result = z.array(permissionRuleSchema).safeParse(await readJsoncFile(value, '--permissions'));
  if (result.success) return result.data as PermissionPolicy;
  const issue = result.error.issues[0];
  const place = issue?.path.length ? `rule ${issue.path.join('.')}: ` : '';
  throw new OpencodeManagerError(
    'USAGE',
    `--permissions: ${value}: ${place}${issue?.message ?? 'invalid'}. Write a list of rules such as [{"permission": "bash", "pattern": "npm test *", "action": "allow"}].`,
  );
}
