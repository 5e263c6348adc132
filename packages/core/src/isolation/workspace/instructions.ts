import { join } from 'node:path';
import { withParents, type Project } from './git-root.ts';
import { readWorkspaceFile } from './read-file.ts';
import { rememberFiles } from './remembered-files.ts';

/** What is sent with a prompt, and what of it was left out. */
export interface Instructions {
  readonly text: string | undefined;
  readonly notes: readonly string[];
  /** The files that were looked at. */
  readonly paths: readonly string[];
}

export type InstructionsReader = (directory: string, project: Project) => Promise<Instructions>;

/** A longer file is a mistake, or an attack on the model's context. */
const maxBytes = 256 * 1024;

/** Texts that are remembered, over all workspaces. */
const maxRemembered = 200;

/**
 * Reads the AGENTS.md files from the repository's root down to the directory (outside git the directory's own alone). Each is a
 * regular file whose real path lies in the repository: git carries links, and one to `/proc/self/environ` would send secrets.
 */
export function createInstructionsReader(): InstructionsReader {
  const read = rememberFiles((path, _, inside) => pieceOf(path, inside), maxRemembered);
  return async (directory, { root, insideGit }) => {
    const top = insideGit ? root : directory;
    const paths = [...withParents(directory, top)].toReversed().map((place) => join(place, 'AGENTS.md'));
    const pieces = await Promise.all(paths.map((path) => read(path, top)));
    const texts = pieces.flatMap((piece) => piece?.text ?? []);
    return { text: texts.length === 0 ? undefined : texts.join('\n\n'), notes: pieces.flatMap((piece) => piece?.note ?? []), paths };
  };
}

/** The text of a file, or why it has none. */
export interface Piece {
  readonly text?: string;
  readonly note?: string;
}

/** One file as a model is to read it; `inside` is the directory that it must lie in. */
export async function pieceOf(path: string, inside: string | undefined): Promise<Piece> {
  const file = await readWorkspaceFile(path, { maxBytes, ...(inside !== undefined && { inside }) });
  if (file.kind === 'missing') return {};
  if (file.kind !== 'file') return { note: `${path} ${file.why}; it was not sent` };
  const text = file.content.toString('utf8');
  if (text === '') return {};
  return {
    text: `Instructions from: ${path}\n${text}`,
    ...(text.includes('\uFFFD') && { note: `${path} holds bytes that are not UTF-8; they were sent as \uFFFD` }),
  };
}
