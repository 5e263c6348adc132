// A registry for the packages of this repository alone, on this machine alone: `npm install --@opencode-manager:registry=URL`.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename } from 'node:path';

/** Serves tarballs as npm's registry does; `stop()` ends it. */
export async function startRegistry(tarballs) {
  const packages = new Map(tarballs.map(readPackage).map((entry) => [entry.manifest.name, entry]));
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url);
    const entry = packages.get(path.slice(1));
    const file = [...packages.values()].find(({ name }) => path === `/${name}`);
    if (file) return response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(file.bytes);
    if (entry) return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(documentOf(entry, url)));
    return response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}/`;
  return { url, names: [...packages.keys()], stop: () => server.close().closeAllConnections() };
}

/** The manifest is the tarball's own, so that a dependency nobody can install fails here as it would there. */
function readPackage(path) {
  const manifest = JSON.parse(execFileSync('tar', ['-xzOf', path, 'package/package.json'], { encoding: 'utf8' }));
  return { name: basename(path), bytes: readFileSync(path), manifest };
}

function documentOf({ name, bytes, manifest }, url) {
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
  const version = { ...manifest, dist: { tarball: `${url}${name}`, integrity } };
  return { name: manifest.name, 'dist-tags': { latest: manifest.version }, versions: { [manifest.version]: version } };
}
