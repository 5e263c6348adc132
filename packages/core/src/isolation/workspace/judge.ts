import type { Project } from './git-root.ts';
import type { UnsafeParent } from './parents.ts';
import type { PlaceSurvey } from './survey.ts';

/** What was seen of a workspace, before one turn. */
export interface Seen {
  readonly directory: string;
  readonly project: Project;
  /** By directory: the workspace and those above it, up to the project's root. */
  readonly places: ReadonlyMap<string, PlaceSurvey>;
  readonly unsafeParents: readonly UnsafeParent[];
  /** The first configuration above the project's root, where opencode would load that too. */
  readonly above?: string | undefined;
}

/** What is trusted: the state at first use. */
export interface Trusted {
  /** By workspace: where its project began. */
  readonly roots: Map<string, string>;
  /** By directory, so that a workspace that is used later does not accept what was written meanwhile above it. */
  readonly places: Map<string, PlaceSurvey>;
}

export type Verdict =
  | { readonly kind: 'trusted' }
  /** Trusted since everything is (`projectConfig: 'all'`), or since the change was accepted. */
  | { readonly kind: 'accepted'; readonly changes: readonly string[] }
  | { readonly kind: 'changed'; readonly changes: readonly string[] }
  | { readonly kind: 'untrusted'; readonly plugin: string }
  | { readonly kind: 'referring'; readonly file: string }
  | { readonly kind: 'exposed'; readonly parent: UnsafeParent }
  /** Of nobody knows whom: the user's own, or another's. */
  | { readonly kind: 'above'; readonly path: string }
  | { readonly kind: 'unreadable'; readonly what: string };

export interface Terms {
  /** Plugins may run, and changes are told alone (`projectConfig: 'all'`). */
  readonly trustsAll: boolean;
  /** Files that the user handed over by name: what they say is the user's own. */
  readonly given: readonly string[];
  /** The caller has looked at the changes and accepts them. Plugins are not accepted by it. */
  readonly acceptsChanges: boolean;
}

/** Decides whether a turn may begin in a workspace. Pure. */
export function judge(trusted: Trusted, seen: Seen, { trustsAll, acceptsChanges, given }: Terms): Verdict {
  const surveys = [...seen.places.values()];
  const unreadable = surveys.flatMap((survey) => survey.unreadable)[0];
  if (unreadable !== undefined) return { kind: 'unreadable', what: unreadable };
  const changes = changesSince(trusted, seen);
  const refusesChanges = !trustsAll && !acceptsChanges;
  if (changes.length > 0 && refusesChanges) return { kind: 'changed', changes };
  const plugin = surveys.flatMap(({ plugins }) => plugins)[0];
  if (plugin !== undefined && !trustsAll) return { kind: 'untrusted', plugin };
  const file = surveys.flatMap(({ references }) => references).find((path) => !given.includes(path));
  if (file !== undefined && !trustsAll) return { kind: 'referring', file };
  if (seen.above !== undefined) return { kind: 'above', path: seen.above };
  // Who trusts a workspace does not trust what others may have put above it.
  const parent = seen.unsafeParents.find(({ path }) => !trustsAll || (seen.places.get(path)?.entries.size ?? 0) > 0);
  if (parent) return { kind: 'exposed', parent };
  return changes.length > 0 ? { kind: 'accepted', changes } : { kind: 'trusted' };
}

/** Takes what was seen for trusted from now on. */
export function adopt(trusted: Trusted, { directory, project, places }: Seen): void {
  trusted.roots.set(directory, project.root);
  for (const [place, survey] of places) trusted.places.set(place, survey);
}

function changesSince(trusted: Trusted, { directory, project, places }: Seen): string[] {
  const root = trusted.roots.get(directory);
  // A repository that was made here takes what lies above it out of the question.
  const wider = root !== undefined && root !== project.root && !project.root.startsWith(root);
  const moved = wider ? [`its repository was ${root} and is ${project.root} now`] : [];
  return [...moved, ...[...places].flatMap(([place, survey]) => differences(trusted.places.get(place), survey))];
}

function differences(before: PlaceSurvey | undefined, after: PlaceSurvey): string[] {
  if (!before) return [];
  const partly = before.truncated || after.truncated;
  const paths = new Set([...before.entries.keys(), ...after.entries.keys()]);
  return [...paths].toSorted().flatMap((path) => {
    const [was, is] = [before.entries.get(path), after.entries.get(path)];
    if (was === is || (partly && (was === undefined || is === undefined))) return [];
    if (was === undefined) return [`${path} is new`];
    return [is === undefined ? `${path} is gone` : `${path} has changed`];
  });
}
