import type { Task } from '@opencode-manager/actors';
import { digestOf } from './canonical-json.ts';
import type { FileDigest } from './file-digests.ts';

/** Names what goes into a hash, and how. Another rule needs another name: results of before are not compared then. */
const version = 'ocm-task-v1';

/** Where a task works, as far as that can change its answer. */
export interface WorkspaceFacts {
  /** `shared`, `clone`, `worktree`, `copy`. In `shared` tasks change the base and the files themselves: of the rest only `path` counts. */
  readonly mode: string;
  /** Absolute: the directory of a task in `shared`, the source outside git. Absent for a repository, which may be moved. */
  readonly path?: string;
  /** First commit of the repository: it names it wherever it lies. */
  readonly rootCommit?: string;
  /** The commit that was resolved at launch, not the name that it had then. */
  readonly baseCommit?: string;
  /** Below the top level; '' at the top. */
  readonly directory?: string;
  /** Patterns of ignored files that are copied, in their order. */
  readonly include?: readonly string[];
  /** The shell line. */
  readonly setup?: string;
}

/** All that can change the answer of a task, with the defaults of its run filled in. */
export interface TaskFacts {
  readonly task: Pick<Task, 'prompt' | 'command' | 'shell' | 'system' | 'agent' | 'model'>;
  readonly files?: readonly FileDigest[];
  readonly workspace: WorkspaceFacts;
  /** Plain JSON, as are `check` and `outputSchema`. */
  readonly permissions?: unknown;
  readonly check?: unknown;
  readonly outputSchema?: unknown;
  /** Digest of the opencode configuration. */
  readonly configuration: string;
  /** Of a task that is repeated, from 1. */
  readonly repeat?: number;
}

export interface TaskHash {
  /** `ocm-task-v1:` and 64 hexadecimal digits. */
  readonly hash: string;
  /** 16 hexadecimal digits for each field that the task has: what differs between two versions of a task can be named. */
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * The hash over what can change the answer of a task: equal hashes mean that its result can be used again. No limit, no priority, no title,
 * no metadata, no credential and no version is part of it.
 * @throws `TASK_INVALID` for what is no JSON
 */
export function taskHash(facts: TaskFacts): TaskHash {
  const all = fieldsOf(facts);
  const present = Object.entries(all).filter(([, value]) => value !== undefined);
  const fields = Object.fromEntries(present.map(([name, value]) => [name, digestOf(value).slice(0, 16)]));
  return { hash: `${version}:${digestOf(all)}`, fields };
}

/** Names of fields in which two versions of a task differ, sorted; `version` alone when their hashes were made by other rules. */
export function differingFields(before: TaskHash, after: TaskHash): readonly string[] {
  if (before.hash === after.hash) return [];
  if (before.hash.split(':')[0] !== after.hash.split(':')[0]) return ['version'];
  const names = new Set([...Object.keys(before.fields), ...Object.keys(after.fields)]);
  return [...names].filter((name) => before.fields[name] !== after.fields[name]).toSorted();
}

function fieldsOf({ task, files, workspace, permissions, check, outputSchema, configuration, repeat }: TaskFacts): Record<string, unknown> {
  const { prompt, command, shell, system, agent, model } = task;
  const own = { prompt, command, shell, system, agent, model };
  const rest = { permissions, check, output_schema: outputSchema, configuration, repeat };
  return { ...own, ...filesOf(files), ...workspaceOf(workspace), ...rest };
}

/** Which files in which order, and the content of each by its name. */
function filesOf(files: readonly FileDigest[] = []): Record<string, unknown> {
  if (files.length === 0) return {};
  const contents = files.map(({ name, sha256 }) => [`files.${name}`, sha256] as const);
  return { files: files.map(({ name, mime }) => ({ name, mime })), ...Object.fromEntries(contents) };
}

function workspaceOf({ mode, path, rootCommit, baseCommit, directory, include, setup }: WorkspaceFacts): Record<string, unknown> {
  if (mode === 'shared') return { 'workspace.mode': mode, 'workspace.path': path };
  return {
    'workspace.mode': mode,
    'workspace.path': path,
    'workspace.root_commit': rootCommit,
    'workspace.base_commit': baseCommit,
    'workspace.directory': directory,
    'workspace.include': include,
    'workspace.setup': setup,
  };
}

/** Digest of an opencode configuration, or of any other JSON: `sha256:` and 64 hexadecimal digits. */
export function configurationDigest(configuration: unknown): string {
  return `sha256:${digestOf(configuration)}`;
}
