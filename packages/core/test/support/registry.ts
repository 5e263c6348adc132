import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A registry of npm packages on loopback. */
export interface Registry extends AsyncDisposable {
  readonly url: string;
  /** Names that were asked for, each as often as it was. */
  readonly asked: string[];
}

interface Manifest {
  readonly name: string;
  readonly version: string;
}

/** Files of a package by path; its `package.json` is made when it is not among them. */
export type PackageFiles = Readonly<Record<string, string>>;

/** Serves one version of each package: the one of its manifest, 1.0.0 when it names none. */
export async function startRegistry(packages: Readonly<Record<string, PackageFiles>>): Promise<Registry> {
  const tarballs = new Map<string, { readonly bytes: Buffer; readonly manifest: Manifest }>();
  for (const [name, files] of Object.entries(packages)) tarballs.set(name, await pack(name, files));
  const asked: string[] = [];
  const answer = (path: string): { readonly status: number; readonly body: string | Buffer } => {
    const tarball = tarballs.get(path.replace(/\.tgz$/, ''));
    if (path.endsWith('.tgz') && tarball) return { status: 200, body: tarball.bytes };
    asked.push(path);
    if (!tarball) return { status: 404, body: '{}' };
    const { version } = tarball.manifest;
    const dist = { tarball: `${url}${path}.tgz`, integrity: `sha512-${createHash('sha512').update(tarball.bytes).digest('base64')}` };
    const versions = { [version]: { ...tarball.manifest, dist } };
    return { status: 200, body: JSON.stringify({ name: path, 'dist-tags': { latest: version }, versions }) };
  };
  const server = createServer((request, response) => {
    const { status, body } = answer(decodeURIComponent(request.url ?? '/').slice(1));
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((listening) => {
    server.listen(0, '127.0.0.1', listening);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((closed) => {
        server.close(closed);
      });
    },
  };
}

async function pack(name: string, files: PackageFiles): Promise<{ readonly bytes: Buffer; readonly manifest: Manifest }> {
  const root = await mkdtemp(join(tmpdir(), 'opencode-manager-test-'));
  try {
    const extra = files['package.json'] === undefined ? {} : (JSON.parse(files['package.json']) as object);
    const manifest = { name, version: '1.0.0', type: 'module', main: 'index.js', ...extra };
    for (const [path, text] of Object.entries({ ...files, 'package.json': JSON.stringify(manifest) })) {
      await mkdir(dirname(join(root, 'package', path)), { recursive: true });
      await writeFile(join(root, 'package', path), text, { mode: 0o755 });
    }
    return { bytes: execFileSync('tar', ['-czf', '-', '-C', root, 'package'], { maxBuffer: 1 << 24 }), manifest };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
