// As a whole: an older Node has no `glob`, and is to be told so by its version, not by a module that cannot be linked.
import * as files from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { withParents, type Project } from './git-root.ts';
import { pieceOf, type Instructions } from './instructions.ts';
import { rememberFiles } from './remembered-files.ts';

/** Files that the patterns of a configuration may match in one workspace. */
const maxFiles = 200;

/** Texts that are remembered, over all workspaces. */
const maxRemembered = 500;

/** `sent` are files that are sent anyway. */
export type NamedInstructionsReader = (
  directory: string,
  project: Project,
  patterns: readonly string[],
  sent: ReadonlySet<string>,
) => Promise<Instructions>;

/**
 * Reads the files that the user's `instructions` name relative to a session: looked for in its directory and in those above it up to the
 * repository's root (outside git in the directory alone), as opencode does. Each is a regular file; one inside the repository does not
 * lead out of it.
 */
export function createNamedInstructionsReader(): NamedInstructionsReader {
  const read = rememberFiles((path, _, inside) => pieceOf(path, inside), maxRemembered);
  return async (directory, { root, insideGit }, patterns, sent) => {
    const top = insideGit ? root : directory;
    const paths = new Set<string>();
    for (const pattern of patterns) for (const place of withParents(directory, top)) await addMatches(pattern, place, paths);
    const wanted = [...paths].filter((path) => !sent.has(path)).slice(0, maxFiles);
    const pieces = await Promise.all(wanted.map((path) => read(path, path.startsWith(top + sep) ? top : undefined)));
    const notes = pieces.flatMap((piece) => piece?.note ?? []);
    if (paths.size > maxFiles) notes.push(`instructions match more than ${maxFiles} files in ${top}; the rest was not sent`);
    return { texts: pieces.flatMap((piece) => piece?.text ?? []), notes, paths: wanted };
  };
}

async function addMatches(pattern: string, place: string, paths: Set<string>): Promise<void> {
  if (!/[*?[\]{}()!+@]/.test(pattern)) {
    paths.add(normalize(join(place, pattern)));
    return;
  }
  const found: string[] = [];
  try {
    for await (const path of files.glob(withHidden(pattern), { cwd: place })) {
      found.push(normalize(join(place, path)));
      if (found.length > maxFiles) break;
    }
  } catch {
    // What cannot be listed has no files for opencode either.
  }
  for (const path of found.toSorted()) paths.add(path);
}

/** For opencode, `*` and `**` match names that begin with a dot as well. */
function withHidden(pattern: string): string {
  const segments = pattern.split('/').map((segment) => {
    if (segment === '**') return '{**,**/.*/**}';
    return segment.startsWith('*') ? `{,.}${segment}` : segment;
  });
  return segments.join('/');
}
