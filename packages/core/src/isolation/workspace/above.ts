import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentReader } from './content.ts';
import { withParents, type Project } from './git-root.ts';
import { orUndefined } from './read-file.ts';
import { surveyPlace } from './survey.ts';

/** What opencode would take from directories above the project's root. */
interface Above {
  /** The first file or folder that it would load as code or configuration. */
  readonly loaded: string | undefined;
  /** What it would read as text, in sentences. */
  readonly notes: readonly string[];
}

export const nothingAbove: Above = { loaded: undefined, notes: [] };

/** Texts and skills that agents are told of. */
const textNames = ['AGENTS.md', 'CLAUDE.md', '.claude', '.agents'] as const;

export async function lookAbove({ root, insideGit }: Project, readContent: ContentReader): Promise<Above> {
  const parents = insideGit ? [...withParents(root)].slice(1) : [];
  const surveys = await Promise.all(parents.map((place) => surveyPlace(place, readContent)));
  const texts = parents.flatMap(textPaths);
  const there = await Promise.all(texts.map((path) => orUndefined(lstat(path))));
  return {
    loaded: surveys.flatMap(({ entries }) => Array.from(entries.keys()))[0],
    notes: texts.filter((_, index) => there[index]).map((path) => `${path} lies above the repository, and opencode reads it too`),
  };
}

const textPaths = (place: string): string[] => textNames.map((name) => join(place, name));
