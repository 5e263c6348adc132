import { dirname } from 'node:path';
import { Git, gitEnvironment } from './git/git.ts';
import { findSource } from './git/source.ts';
import { readUserSettings } from './git/user-settings.ts';
import { findOrigin, toolsEnvironment } from './open-run.ts';

/**
 * Top level of the outermost git repository that a directory lies in; outside git the directory itself. A submodule, a linked worktree and
 * a repository that is merely nested give that of the repository around them. One that git refuses does not count.
 * @throws `GIT_UNUSABLE`, `WORKSPACE_SOURCE_INVALID`
 * @public
 */
export async function outermostTop(directory: string): Promise<string> {
  const { safeDirectories } = await readUserSettings();
  const tools = toolsEnvironment();
  const { source, top: innermost } = await findOrigin(directory, tools, safeDirectories);
  const git = new Git('/', gitEnvironment(tools, safeDirectories));
  let top = innermost;
  for (let around = source; around !== undefined && top !== '/';) {
    around = await findSource(git, dirname(top)).catch(() => undefined);
    top = around?.top ?? top;
  }
  return top;
}
