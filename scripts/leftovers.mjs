// What a test run must not leave behind: processes with a run marker, guards, and entries in the temporary directory.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ours = /^(opencode-manager|ocm)-/;

/** Processes of servers that a manager of ours started (Linux; elsewhere none are seen). */
export function markedProcesses() {
  let pids = [];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  return pids.flatMap((pid) => {
    const environment = read(`/proc/${pid}/environ`);
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    const marked = environment.split('\0').some((entry) => entry.startsWith('OPENCODE_MANAGER_RUN_ID='));
    return marked || command.includes('opencode-manager-guard') ? [`${pid} ${command.slice(0, 120)}`] : [];
  });
}

/** Entries of ours in a temporary directory, each with some of what it holds. */
export function temporaryEntries(directory) {
  return readdirSync(directory)
    .filter((name) => ours.test(name))
    .map((name) => [name, ...contentOf(join(directory, name)).slice(0, 5)].join(' '));
}

function contentOf(directory) {
  try {
    return readdirSync(directory, { recursive: true });
  } catch {
    return [];
  }
}

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
