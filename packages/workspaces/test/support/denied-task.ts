import { join } from 'node:path';
import { openWorkspaces } from '../../src/index.ts';
import { shell } from './repository.ts';

/** Runs one task, with permissions that count: an agent's shell line, a capture, a release. */
const [repository = '', line = ''] = process.argv.slice(2);
const notes: string[] = [];
try {
  const workspaces = await openWorkspaces({ repository, onNote: ({ code }) => notes.push(code) });
  const workspace = await workspaces.acquire('denied');
  shell(workspace.path, line);
  const { leftBehind, files } = (await workspace.capture())!;
  const release = await workspace.release();
  await workspaces.close();
  console.log(JSON.stringify({ leftBehind, files: files.map(({ path }) => path), release, notes, root: join(workspace.path, '..', '..') }));
} catch (error) {
  const { code, message } = error as { code: string; message: string };
  console.log(JSON.stringify({ code, message }));
}
