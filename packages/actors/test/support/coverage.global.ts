import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { TransitionRecord } from './transition-record.ts';

/** Collects which transitions the run has taken where, and prints it at its end. */
export default function collectCoverage(project: TestProject): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'opencode-manager-transitions-'));
  project.provide('transitionRecords', directory);
  return () => {
    const records = readdirSync(directory).map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as TransitionRecord);
    rmSync(directory, { recursive: true });
    for (const [machine, ids] of Object.entries(records[0]?.all ?? {})) report(machine, ids, records);
  };
}

function report(machine: string, ids: readonly string[], records: readonly TransitionRecord[]): void {
  const real = new Set(records.flatMap((record) => record.real));
  const simulated = new Set(records.flatMap((record) => record.simulated));
  const onlySimulated = ids.filter((id) => simulated.has(id) && !real.has(id));
  const nowhere = ids.filter((id) => !simulated.has(id) && !real.has(id));
  const counts = `${ids.filter((id) => real.has(id)).length} on the real server, ${onlySimulated.length} on the simulated clock only`;
  console.log(`${machine} machine: ${ids.length} transitions, taken by this run: ${counts}, ${nowhere.length} nowhere`);
  // A run of a few files says nothing about the rest.
  if (nowhere.length === 0) for (const id of onlySimulated) console.log(`  simulated only: ${id}`);
}
