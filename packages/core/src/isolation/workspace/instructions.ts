import { join } from 'node:path';
import { withParents, type Project } from './git-root.ts';
import { readWorkspaceFile } from './read-file.ts';
import { rememberFiles } from './remembered-files.ts';

/** What is sent with a prompt, and what of it was left out. */
export interface Instructions {
  /** Each with its heading. */
  readonly texts: readonly string[];
  readonly notes: readonly string[];
  /** The files that were looked at. */
  readonly paths: readonly string[];
}

export type InstructionsReader = (directory: string, project: Project) => Promise<Instructions>;

/** Of a file, and of all that are sent: more is a mistake, or an attack on the model's context. */
const maxBytes = 256 * 1024;

/** Texts that are remembered, over all workspaces. */
const maxRemembered = 200;

/**
 * Reads the instructions from the directory up to the repository's root (outside git the directory's own alone), the nearest first. Each
 * is a regular file whose real path lies in the repository: git carries links, and one to `/proc/self/environ` would send secrets.
 * @param fileNames as opencode has them: of the first that stands anywhere on the way up, all files count, and none of another name
 */
export function createInstructionsReader(fileNames: readonly string[]): InstructionsReader {
  const read = rememberFiles((path, _, inside) => pieceOf(path, inside), maxRemembered);
  return async (directory, { root, insideGit }) => {
    const top = insideGit ? root : directory;
    const places = [...withParents(directory, top)];
    for (const name of fileNames) {
      const paths = places.map((place) => join(place, name));
      const pieces = await Promise.all(paths.map((path) => read(path, top)));
      if (pieces.some((piece) => piece !== undefined)) return { ...together(paths, pieces), paths };
    }
    return { texts: [], notes: [], paths: [] };
  };
}

/** What is left out once the bound of all files is reached is said. */
function together(paths: readonly string[], pieces: readonly (Piece | undefined)[]): Pick<Instructions, 'texts' | 'notes'> {
  const texts: string[] = [];
  const notes: string[] = [];
  let bytes = 0;
  for (const [index, piece] of pieces.entries()) {
    if (piece?.note !== undefined) notes.push(piece.note);
    if (piece?.text === undefined) continue;
    const sum = bytes + Buffer.byteLength(piece.text);
    if (texts.length === 0 || sum <= maxBytes) {
      bytes = sum;
      texts.push(piece.text);
    } else notes.push(`${paths[index]} was not sent: with the files nearer to the session it has more than ${maxBytes / 1024} KB`);
  }
  return { texts, notes };
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
  const text = file.content.toString('utf8').replace(/^\uFEFF/, '');
  if (text === '') return {};
  return {
    text: `Instructions from: ${path}\n${text}`,
    ...(text.includes('\uFFFD') && { note: `${path} holds bytes that are not UTF-8; they were sent as \uFFFD` }),
  };
}
