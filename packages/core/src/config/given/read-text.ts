import { OpencodeManagerError } from '../../errors/index.ts';
import { readWorkspaceFile } from '../../isolation/workspace/read-file.ts';

/** A configuration, or a file that it refers to, is no larger than this. */
const maxBytes = 16 * 1024 * 1024;

/**
 * The text of a file as opencode reads it: UTF-8, with or without a byte order mark. A FIFO or a device is not waited for.
 * @throws `OPENCODE_CONFIG_INVALID`; `label` says what the file is for
 */
export async function readText(path: string, label: string): Promise<string> {
  const file = await readWorkspaceFile(path, { maxBytes });
  if (file.kind === 'missing') throw invalid(`${label}: ${path} cannot be read (ENOENT). Name an existing file.`, path);
  if (file.kind !== 'file') throw invalid(`${label}: ${path} ${file.why}. Name a regular file.`, path);
  const [first, second] = file.content;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw invalid(`${label}: ${path} is UTF-16, and opencode reads UTF-8. Save it as UTF-8.`, path);
  return new TextDecoder().decode(file.content);
}

function invalid(message: string, path?: string): OpencodeManagerError {
  return new OpencodeManagerError('OPENCODE_CONFIG_INVALID', message, path === undefined ? {} : { details: { path } });
}
