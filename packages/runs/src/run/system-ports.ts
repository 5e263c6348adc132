import { existsSync } from 'node:fs';
import { systemClock } from '@opencode-manager/actors/hosts';
import type { RunPorts } from './ports.ts';
import { writeTranscript } from './transcripts.ts';

/** The real world. */
export const systemPorts: RunPorts = {
  clock: systemClock,
  random: Math.random,
  pid: process.pid,
  hasDirectory: existsSync,
  writeTranscript,
};
