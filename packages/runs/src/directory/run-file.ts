import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { unreadable, wordsOf } from '../errors.ts';
import type { Redact } from '../redact.ts';
import { replaceFile } from './replace-file.ts';

const schemaVersion = 1;

const runFileSchema = z.object({
  schema_version: z.literal(schemaVersion),
  id: z.string().min(1),
  /** ISO 8601. */
  created_at: z.iso.datetime(),
  /** Absolute: where the run was started. */
  directory: z.string().min(1),
  /** Absolute path of the file of tasks; null when they came from standard input or from code. */
  source: z.string().nullable(),
  argv: z.array(z.string()),
  /** As it was after all defaults. */
  configuration: z.record(z.string(), z.unknown()),
  /** Of the opencode configuration, as task hashes have it. */
  configuration_digest: z.string(),
  versions: z.object({ manager: z.string(), opencode: z.string(), protocol: z.string(), node: z.string() }),
  /** null outside git. */
  git: z.object({ head: z.string().nullable(), dirty: z.boolean() }).nullable(),
  /** Commits by the names that tasks have for them (`HEAD`, `main`), as they were resolved at launch. */
  base_commits: z.record(z.string(), z.string()),
  host: z.object({ hostname: z.string(), platform: z.string() }),
});

/** `run.json`: what a run is. It is written once. */
export type RunFile = z.output<typeof runFileSchema>;

/** @throws `RUN_STORAGE_FULL` */
export async function writeRunFile(path: string, run: RunFile, redact: Redact): Promise<void> {
  await replaceFile(path, [`${JSON.stringify(redact(run), null, 2)}\n`]);
}

/** @throws `RUN_UNREADABLE` naming what is wrong: missing, no JSON, a field, a newer version */
export async function readRunFile(path: string): Promise<RunFile> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, `cannot be read: ${wordsOf(error)}`, error);
  });
  const value = jsonIn(text, path);
  const version = (value as { schema_version?: unknown } | null)?.schema_version;
  if (typeof version === 'number' && version > schemaVersion)
    throw unreadable(path, `was written by a newer version (schema ${version}; this one reads up to ${schemaVersion})`);
  const parsed = runFileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path: field, message }) => `${field.join('.') || 'its content'}: ${message}`);
  throw unreadable(path, `is damaged: ${problems.slice(0, 5).join('; ')}`, parsed.error);
}

function jsonIn(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(path, `is damaged: ${wordsOf(error)}`, error);
  }
}
