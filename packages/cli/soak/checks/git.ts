import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AttemptEnded } from '@opencode-manager/runs/read';
import type { Facts } from '../facts.ts';
import { exists } from '../files.ts';

const run = promisify(execFile);

/** With workspaces of their own: each change has its ref and its patch, made in a fresh workspace; nothing else is in the repository. */
export async function checkGit({ place, options, ended, final, tasks }: Facts): Promise<string[]> {
  const git = async (...args: string[]) => (await run('git', ['-C', place.repository, ...args])).stdout;
  if (options.workspace === 'shared') return [];
  const problems: string[] = [];
  const refs = (await git('for-each-ref', '--format=%(refname)', 'refs/ocm')).split('\n').filter(Boolean);
  const known = new Set(ended.flatMap(({ result }) => (result.ref === undefined ? [] : [result.ref])));
  for (const ref of refs.filter((one) => !known.has(one) && !one.includes('/base/')))
    if (!ended.some((end) => wasTakenLater(ref, end))) problems.push(`git: ${ref} is told by no result`);
  for (const ref of known) if (!refs.includes(ref)) problems.push(`git: ${ref} is told and missing`);
  for (const { id, kind } of tasks) {
    const { result, attempt } = final.get(id) ?? {};
    if (result?.outcome !== 'succeeded') continue;
    if (kind !== 'write') {
      if ((result.files_changed ?? -1) !== 0) problems.push(`git: ${id} has changed ${result.files_changed} files`);
      continue;
    }
    const text = result.ref === undefined ? undefined : await git('show', `${result.ref}:${id}.txt`).catch(() => undefined);
    if (text !== `${id}\n`) problems.push(`git: ${id}.txt of ${id}/${attempt} is ${JSON.stringify(text)}`);
    if (typeof result.patch !== 'string' || !(await exists(result.patch))) problems.push(`git: the patch of ${id} is missing`);
  }
  const status = await git('status', '--porcelain');
  if (status !== '') problems.push(`git: the repository has changed: ${status.slice(0, 300)}`);
  if ((await git('worktree', 'list')).trim().split('\n').length > 1) problems.push(`git: worktrees are left`);
  return problems;
}

/** The changes of an attempt that had no room for them are taken when there is some; its end was told by then. */
function wasTakenLater(ref: string, { key, attempt, outcome, result }: AttemptEnded): boolean {
  const [slug = '', number] = ref.split('/').slice(-2);
  return slug.startsWith(`${key}-`) && number === String(attempt) && outcome !== 'succeeded' && result.ref === undefined;
}
