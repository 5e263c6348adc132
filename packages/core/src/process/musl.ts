import { isExecutableFile } from './find-on-path.ts';

let isMusl: Promise<boolean> | undefined;

/** Whether programs of this machine are linked to musl (Alpine) instead of glibc. Found out once a process. */
export function isMuslSystem(): Promise<boolean> {
  isMusl ??= findOut();
  return isMusl;
}

/** Node's report says it, but takes 3 to 8 ms: it is asked only where musl's loader is, without which its binaries do not run. */
async function findOut(): Promise<boolean> {
  const loader = `/lib/ld-musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`;
  if (process.platform !== 'linux' || !(await isExecutableFile(loader))) return false;
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined;
}
