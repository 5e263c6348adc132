// Stands where opencode's binary would: `--version`, or `serve --hostname <name> --port <n>` with a ready line.
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { createSyntheticServer } from './server.ts';

const { values } = parseArgs({
  allowPositionals: true,
  options: { version: { type: 'boolean' }, hostname: { type: 'string' }, port: { type: 'string' } },
});

if (values.version) console.log('1.18.33');
else serve();

function serve(): void {
  const file = process.env['OPENCODE_CONFIG'];
  const config = file === undefined ? {} : (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>);
  const turns = {
    answersPerTurn: 1,
    deltasPerAnswer: 8,
    eventsPerSecond: 0,
    sharers: 0,
    ...(JSON.parse(process.env['SYNTHETIC_TURNS'] ?? '{}') as object),
  };
  const server = createSyntheticServer({ ...turns, config, directory: process.cwd() });
  // Hundreds of clients connect at once.
  server.keepAliveTimeout = 60_000;
  server.listen({ port: Number(values.port ?? 0), host: values.hostname ?? '127.0.0.1', backlog: 4096 }, () => {
    console.log(`opencode server listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
}
