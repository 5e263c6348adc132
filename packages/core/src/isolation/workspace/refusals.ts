import { OpencodeManagerError } from '../../errors/index.ts';
import type { Verdict } from './judge.ts';

/** The error for a workspace in which no turn may begin; undefined for one in which it may. */
export function refusalOf(directory: string, verdict: Verdict): OpencodeManagerError | undefined {
  switch (verdict.kind) {
    case 'untrusted':
      return new OpencodeManagerError(
        'WORKSPACE_UNTRUSTED',
        `directory: ${directory} carries opencode plugins (${verdict.plugin}), which would run as code inside the server. Remove them, or set projectConfig to 'all' when you trust this workspace.`,
        { details: { directory, found: verdict.plugin } },
      );
    case 'referring':
      return new OpencodeManagerError(
        'WORKSPACE_UNTRUSTED',
        `directory: ${verdict.file} names references. opencode takes them without being asked to: they put text into the system prompt, and open directories outside the workspace to the agent. Hand the file over by name (opencodeConfig) if it is yours, take them out, or set projectConfig to 'all' when you trust this workspace.`,
        { details: { directory, found: verdict.file } },
      );
    case 'exposed':
      return new OpencodeManagerError(
        'WORKSPACE_UNTRUSTED',
        `directory: ${directory} is not in a git repository, and ${verdict.parent.path} above it ${verdict.parent.why}: opencode would run what somebody puts into an .opencode there. Run git init in the workspace, or use one elsewhere.`,
        { details: { directory, found: verdict.parent.path } },
      );
    case 'above':
      return new OpencodeManagerError(
        'WORKSPACE_UNTRUSTED',
        `directory: ${verdict.path} lies above the repository of ${directory}, and with projectConfig 'all' this version of opencode would load it too, whoever it belongs to. Take the workspace elsewhere, or hand over what it needs by name (opencodeConfig, opencodeConfigDir) without projectConfig 'all'.`,
        { details: { directory, found: verdict.path } },
      );
    case 'changed':
      return changed(directory, verdict.changes);
    case 'unreadable':
      return new OpencodeManagerError(
        'WORKSPACE_UNREADABLE',
        `directory: ${verdict.what}. opencode would read it for a turn in ${directory}, and never end that turn. Remove it. Nothing was sent.`,
        { details: { directory, found: verdict.what } },
      );
    default:
      return undefined;
  }
}

/** What opencode loads there is not what it was. */
export function changed(directory: string, changes: readonly string[]): OpencodeManagerError {
  const listed = changes.slice(0, 5).join('; ');
  const more = changes.length > 5 ? `; and ${changes.length - 5} more` : '';
  return new OpencodeManagerError(
    'WORKSPACE_CHANGED',
    `directory: what opencode would load for a turn in ${directory} has changed since its first use: ${listed}${more}. Put it back, or accept it with checkWorkspace(directory, { acceptChanges: true }). Nothing was sent.`,
    { details: { directory, changes: changes.slice(0, 20) } },
  );
}

export function unanswered(directory: string, deadlineMs: number): OpencodeManagerError {
  return new OpencodeManagerError(
    'WORKSPACE_UNREADABLE',
    `directory: ${directory} could not be looked at within ${deadlineMs / 1000} s. Check its file system. Nothing was sent.`,
    { details: { directory } },
  );
}
