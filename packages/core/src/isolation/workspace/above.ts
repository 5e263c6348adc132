import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { withParents, type Project } from './git-root.ts';
import { orUndefined } from './read-file.ts';
import type { PlaceSurvey } from './survey.ts';

/** Texts and skills that agents are told of; opencode 2, which alone goes on above a repository, reads no CLAUDE.md. */
const textNames = ['AGENTS.md', '.claude', '.agents'] as const;

/** The directories above a repository's root, nearest first; none outside git. */
export function placesAbove({ root, insideGit }: Project): string[] {
  return insideGit ? [...withParents(root)].slice(1) : [];
}

/** What opencode takes from these places though it runs no code of them (that is refused): agents, commands, texts. In sentences. */
export async function notesAbove(places: readonly string[], surveys: readonly PlaceSurvey[]): Promise<string[]> {
  const texts = places.flatMap((place) => textNames.map((name) => join(place, name)));
  const there = await Promise.all(texts.map((path) => orUndefined(lstat(path))));
  const loaded = surveys.flatMap(({ entries }) =>
    [...entries.keys()].filter((path) => /\/\.opencode\/(?:agent|command|mode|skill)s?\//.test(path)),
  );
  return [...loaded, ...texts.filter((_, index) => there[index])].map(
    (path) => `${path} lies above the repository, and opencode reads it too`,
  );
}
