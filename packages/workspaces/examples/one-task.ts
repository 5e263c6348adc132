import { execFileSync } from 'node:child_process';
import { openWorkspaces } from '@opencode-manager/workspaces';

const workspaces = await openWorkspaces({ repository: '.' });
try {
  const workspace = await workspaces.acquire('greet');
  // Here an agent works.
  execFileSync('sh', ['-c', 'echo hello > greeting.txt'], { cwd: workspace.directory });
  const result = await workspace.capture();
  console.log(`${result?.filesChanged} file, +${result?.insertions} -${result?.deletions}`);
  execFileSync('git', ['apply', '--index', result!.patch!], { stdio: 'inherit' });
  await workspace.release();
} finally {
  await workspaces.close();
}
