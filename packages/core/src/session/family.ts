import { isManagerError } from '../errors/index.ts';
import type { CallOptions } from '../http/index.ts';
import type { SessionInfo } from '../protocol/index.ts';
import type { SessionOperations } from './types.ts';

export interface FamilyContext {
  /** Id of the session that a session is a sub-agent of; undefined for one of its own. */
  parentOf(id: string, directory: string, options?: CallOptions): Promise<string | undefined>;
  operationsOf(id: string, directory: string): SessionOperations;
}

/** Whether a session is `rootId` or descends from it. One that is gone belongs to nobody. */
export async function isInFamily(
  context: FamilyContext,
  root: Pick<SessionOperations, 'id' | 'directory'>,
  sessionId: string,
  options?: CallOptions,
): Promise<boolean> {
  try {
    for (let id: string | undefined = sessionId; id !== undefined; id = await context.parentOf(id, root.directory, options)) {
      if (id === root.id) return true;
    }
  } catch (error) {
    if (!isManagerError(error, 'NOT_FOUND')) throw error;
  }
  return false;
}

/** Sub-agents of a session, theirs included. */
export async function descendantsOf(context: FamilyContext, root: SessionOperations, options?: CallOptions): Promise<SessionInfo[]> {
  const found: SessionInfo[] = [];
  const open = [root];
  for (let parent = open.pop(); parent; parent = open.pop()) {
    const children = await parent.children(options);
    found.push(...children);
    open.push(...children.map(({ id, directory }) => context.operationsOf(id, directory)));
  }
  return found;
}
