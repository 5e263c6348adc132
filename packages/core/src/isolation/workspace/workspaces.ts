import { realDirectory } from '../../config/index.ts';
import { shareReads } from '../../server/shared-reads.ts';
import { notesAbove, placesAbove } from './above.ts';
import { createContentReader, type ContentReader } from './content.ts';
import { createProjectReader, GitUnanswered, withParents, type Project } from './git-root.ts';
import { createInstructionsReader, type Instructions } from './instructions.ts';
import { createNamedInstructionsReader } from './named-instructions.ts';
import { adopt, judge, type Seen, type Terms, type Trusted, type Verdict } from './judge.ts';
import { unsafeParents } from './parents.ts';
import { changed, refusalOf, unanswered } from './refusals.ts';
import { surveyPlace } from './survey.ts';
import { unusedIn, unusedNote, type UnusedConfiguration } from './unused.ts';

/** What was found when a workspace was checked. */
export interface WorkspaceCheck {
  /** Real path. */
  readonly directory: string;
  /** Where opencode stops looking for configuration on its way up; undefined outside git. */
  readonly repository: string | undefined;
  /** What was skipped, and with `projectConfig: 'all'` what has changed since the last check; sentences. */
  readonly notes: readonly string[];
}

export interface CheckOptions {
  /** Take what is there now for trusted. Plugins are refused all the same. */
  readonly acceptChanges?: boolean;
}

export interface WorkspaceOptions {
  readonly projectConfig: 'instructions' | 'all' | 'none';
  /** With `projectConfig: 'all'`, opencode goes on above a repository's root. Default false. */
  readonly readsAboveRepository?: boolean;
  /** Names of the files that are instructions: those of the first that is there. */
  readonly instructionFiles: readonly string[];
  /** What the server's git runs with, as far as it decides where a repository begins. */
  readonly gitEnvironment: NodeJS.ProcessEnv;
  /** Configuration files and directories that the user handed over by name: they are used, wherever they stand. */
  readonly given?: readonly string[];
}

/**
 * Knows the workspaces of one run: what is trusted in each since its first use. Nothing here reads on the main thread, waits for a
 * FIFO, or takes longer than ten seconds.
 */
export interface Workspaces {
  /**
   * Looks at all that opencode would load as code or configuration in a workspace, and refuses a turn there when it is not trusted.
   * @throws `DIRECTORY_MISSING`, `WORKSPACE_UNTRUSTED`, `WORKSPACE_CHANGED`, `WORKSPACE_UNREADABLE`
   */
  check(directory: string, options?: CheckOptions): Promise<WorkspaceCheck>;
  /**
   * The same before a turn; gives the instructions that are to be sent with it, one text for each file. Turns that begin together share the look.
   * @param patterns relative `instructions` of the user's configuration
   */
  beginTurn(directory: string, patterns?: readonly string[]): Promise<readonly string[]>;
  /** What of the workspace's own configuration is not used, as it was seen last; undefined for a directory that was not checked. */
  unused(directory: string): UnusedConfiguration | undefined;
  /** What opencode takes for the project of a directory. */
  project(directory: string): Promise<Project>;
  /** All that was skipped so far, without repetition; the newest hundred. */
  notes(): readonly string[];
}

/** A file system that does not answer must not hold a turn for ever; milliseconds. */
const deadlineMs = 10_000;

const maxNotes = 100;

export function createWorkspaces({ projectConfig, gitEnvironment, given = [], ...options }: WorkspaceOptions): Workspaces {
  const readProject = createProjectReader(() => gitEnvironment);
  const readContent = createContentReader();
  const readInstructions = createInstructionsReader(options.instructionFiles);
  const readNamed = createNamedInstructionsReader();
  const unused = new Map<string, UnusedConfiguration>();
  const trusted: Trusted = { roots: new Map(), places: new Map() };
  const notes = new Set<string>();

  async function look(wanted: string, terms: Terms): Promise<WorkspaceLook> {
    const directory = await realDirectory(wanted, 'directory');
    const project = await readProject(directory).catch((error: unknown) => {
      throw error instanceof GitUnanswered ? refusalOf(directory, { kind: 'unreadable', what: error.message }) : error;
    });
    const [seen, instructions] = await Promise.all([
      survey(directory, project, { readContent, goesOn: projectConfig === 'all' && options.readsAboveRepository === true }),
      projectConfig === 'instructions' ? readInstructions(directory, project) : noInstructions,
    ]);
    const verdict = judge(trusted, seen, terms);
    const refusal = refusalOf(directory, verdict);
    if (refusal) throw refusal;
    adopt(trusted, seen);
    const told = [...(await notesOf(seen, verdict)), ...instructions.notes];
    if (projectConfig !== 'all') told.push(...noteUnused(directory, seen));
    for (const note of told) tell(notes, note);
    return { directory, repository: project.insideGit ? project.root : undefined, notes: told, project, instructions };
  }

  function noteUnused(directory: string, seen: Seen): string[] {
    const found = unusedIn(seen, given);
    unused.set(directory, found);
    const note = unusedNote(directory, found, projectConfig);
    return note === undefined ? [] : [note];
  }

  /** With the files that the configuration names itself: one that is an AGENTS.md of the workspace is there already. */
  async function instructionsOf(
    { directory, project, instructions }: WorkspaceLook,
    patterns: readonly string[],
  ): Promise<readonly string[]> {
    if (patterns.length === 0) return instructions.texts;
    const named = await withDeadline(directory, readNamed(directory, project, patterns, new Set(instructions.paths)));
    for (const note of named.notes) tell(notes, note);
    return [...instructions.texts, ...named.texts];
  }

  const terms = { trustsAll: projectConfig === 'all', acceptsChanges: false, given };
  const turns = shareReads((directory) => withDeadline(directory, look(directory, terms)));
  return {
    async check(wanted, { acceptChanges = false } = {}) {
      const accepting = { ...terms, acceptsChanges: true };
      const found = await (acceptChanges ? withDeadline(wanted, look(wanted, accepting)) : turns(wanted));
      return { directory: found.directory, repository: found.repository, notes: found.notes };
    },
    async beginTurn(directory, patterns = []) {
      const found = await turns(directory);
      if (found.directory !== directory) throw changed(directory, [`${directory} is a link to ${found.directory} now`]);
      return instructionsOf(found, patterns);
    },
    unused: (directory) => unused.get(directory),
    project: readProject,
    notes: () => [...notes],
  };
}

async function notesOf({ project, places, aboveRoot }: Seen, verdict: Verdict): Promise<string[]> {
  const notes = [...places.values()].flatMap((place) => place.notes);
  if (verdict.kind === 'accepted') notes.push(...verdict.changes.map((change) => `${change}, and opencode may load it`));
  if (aboveRoot.length > 0) notes.push(...(await notesAbove(placesAbove(project), aboveRoot)));
  return notes;
}

/** Looks at all places from which opencode would load something for a directory. */
async function survey(
  directory: string,
  project: Project,
  { readContent, goesOn }: { readonly readContent: ContentReader; readonly goesOn: boolean },
): Promise<Seen> {
  const surveyed = (places: readonly string[]) => Promise.all(places.map((place) => surveyPlace(place, readContent)));
  const places = [...withParents(directory, project.root)];
  const above = goesOn ? placesAbove(project) : [];
  const [surveys, aboveRoot, unsafe] = await Promise.all([
    surveyed(places),
    surveyed(above),
    project.insideGit ? [] : unsafeParents(directory),
  ]);
  return { directory, project, places: new Map(places.map((place, index) => [place, surveys[index]!])), aboveRoot, unsafeParents: unsafe };
}

interface WorkspaceLook extends WorkspaceCheck {
  readonly project: Project;
  readonly instructions: Instructions;
}

const noInstructions: Instructions = { texts: [], notes: [], paths: [] };

function tell(notes: Set<string>, note: string): void {
  notes.delete(note);
  notes.add(note);
  if (notes.size > maxNotes) notes.delete(notes.keys().next().value!);
}

/**
 * The real path of a directory that a task names; looks at nothing else.
 * @throws `DIRECTORY_MISSING`; `WORKSPACE_UNREADABLE` when its file system does not answer within 10 s
 */
export function realWorkspace(directory: string): Promise<string> {
  return withDeadline(directory, realDirectory(directory, 'directory'));
}

/** What is late goes on unseen: a call of a file system cannot be taken back. */
async function withDeadline<Result>(directory: string, work: Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(unanswered(directory, deadlineMs)), deadlineMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
