import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { parse } from 'jsonc-parser';
import { readWorkspaceFile, type WorkspaceFile } from './read-file.ts';
import { printOf, rememberFiles, type FileLook } from './remembered-files.ts';

/** What is remembered of a file that opencode would load. */
export interface FileContent {
  readonly kind: WorkspaceFile['kind'];
  /** The same as long as the file is: its kind, its content's hash, and where it leads when it is a link. */
  readonly print: string;
  /** Why there is no hash. */
  readonly why?: string;
  /** The key under which an `opencode.json(c)` names plugins. */
  readonly pluginKey?: string;
  /** It names references: opencode takes those of a workspace, whatever it is told about configuration there. */
  readonly hasReferences?: boolean;
  /** The packages that a `package.json` names. */
  readonly packages?: readonly string[];
}

/** Gives undefined where nothing stands. Never throws. */
export type ContentReader = (path: string) => Promise<FileContent | undefined>;

/** Larger files are not read. opencode's own configuration has a few kilobytes. */
const maxBytes = 1024 * 1024;

/** Files whose content is remembered, over all workspaces. */
const maxRemembered = 20_000;

/** Packages of one manifest that are looked at. */
const maxPackages = 100;

/** Reads and hashes files; one that looks as before is not read again. */
export function createContentReader(): ContentReader {
  return rememberFiles(contentOf, maxRemembered);
}

async function contentOf(path: string, { link, stats }: FileLook): Promise<FileContent> {
  const file = await readWorkspaceFile(path, { maxBytes });
  const arrow = link === undefined ? '' : `link ${link}, `;
  if (file.kind === 'missing') return { kind: 'missing', print: `${arrow}missing` };
  if (file.kind === 'large') return { ...file, print: `${arrow}file ${printOf(stats)}` };
  if (file.kind !== 'file') return { ...file, print: `${arrow}${file.why}` };
  const { content } = file;
  const name = basename(path);
  return {
    kind: 'file',
    print: `${arrow}file ${content.length} ${createHash('sha256').update(content).digest('hex')}`,
    ...(/^opencode\.jsonc?$/.test(name) && keysIn(content)),
    ...(name === 'package.json' && { packages: packagesIn(content) }),
  };
}

function keysIn(content: Buffer): Pick<FileContent, 'pluginKey' | 'hasReferences'> {
  const config = objectIn(content);
  const pluginKey = ['plugin', 'plugins'].find((name) => hasEntries(config[name]));
  const hasReferences = ['references', 'reference'].some((name) => hasEntries(config[name]));
  return { ...(pluginKey !== undefined && { pluginKey }), ...(hasReferences && { hasReferences }) };
}

function packagesIn(content: Buffer): string[] {
  const manifest = objectIn(content);
  const kinds = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];
  const names = kinds.flatMap((kind) => Object.keys((manifest[kind] as object | null | undefined) ?? {}));
  return names.filter((name) => /^(@[\w.-]+\/)?[\w-][\w.-]*$/.test(name)).slice(0, maxPackages);
}

function objectIn(content: Buffer): Readonly<Record<string, unknown>> {
  const value = parse(content.toString('utf8').replace(/^\uFEFF/, ''), [], { allowTrailingComma: true }) as unknown;
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function hasEntries(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : value !== undefined;
}
