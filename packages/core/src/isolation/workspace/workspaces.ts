import { realDirectory } from '../../config/index.ts';
import { shareReads } from '../../server/shared-reads.ts';
import { lookAbove, nothingAbove } from './above.ts';
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
  /** What the server's git runs with, as far as it decides where a repository begins. */
  readonly gitEnvironment: NodeJS.ProcessEnv;
  /** With `all`, opencode loads what stands above a repository as well: that is refused. Default false. */
  readonly readsAbove?: boolean;
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

export function createWorkspaces({ projectConfig, readsAbove = false, gitEnvironment, given = [] }: WorkspaceOptions): Workspaces {
  const readProject = createProjectReader(() => gitEnvironment);
  const readContent = createContentReader();
  const readInstructions = createInstructionsReader();
  const readNamed = createNamedInstructionsReader();
  const unused = new Map<string, UnusedConfiguration>();
  const trusted: Trusted = { roots: new Map(), places: new Map() };
  const notes = new Set<string>();

  async function look(wanted: string, terms: Terms): Promise<WorkspaceLook> {
    const directory = await realDirectory(wanted, 'directory');
    const project = await readProject(directory).catch((error: unknown) => {
      throw error instanceof GitUnanswered ? refusalOf(directory, { kind: 'unreadable', what: error.message }) : error;
    });
    const [known, above, instructions] = await Promise.all([
      survey(directory, project, readContent),
      readsAbove && projectConfig === 'all' ? lookAbove(project, readContent) : nothingAbove,
      projectConfig === 'instructions' ? readInstructions(directory, project) : noInstructions,
    ]);
    const seen = { ...known, above: above.loaded };
    const verdict = judge(trusted, seen, terms);
    refuse(directory, verdict);
    adopt(trusted, seen);
    const told = [...notesOf(seen, verdict), ...above.notes, ...instructions.notes];
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

function refuse(directory: string, verdict: Verdict): void {
  const refusal = refusalOf(directory, verdict);
  if (refusal) throw refusal;
}

function notesOf({ places }: Seen, verdict: Verdict): string[] {
  const notes = [...places.values()].flatMap((place) => place.notes);
  if (verdict.kind === 'accepted') notes.push(...verdict.changes.map((change) => `${change}, and opencode may load it`));
  return notes;
}

/** Looks at all places from which opencode would load something for a directory. */
async function survey(directory: string, project: Project, readContent: ContentReader): Promise<Seen> {
  const places = [...withParents(directory, project.root)];
  const [surveys, unsafe] = await Promise.all([
    Promise.all(places.map((place) => surveyPlace(place, readContent))),
    project.insideGit ? [] : unsafeParents(directory),
  ]);
  return { directory, project, places: new Map(places.map((place, index) => [place, surveys[index]!])), unsafeParents: unsafe };
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
