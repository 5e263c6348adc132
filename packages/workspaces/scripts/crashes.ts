// Kills runs at random moments and recovers after each five: node --conditions=@opencode-manager/source scripts/crashes.ts [KILLS] [SEED]
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { crash } from '../test/support/crashes.ts';
import { git, repository, scratch } from '../test/support/repository.ts';

const kills = Number(process.argv[2] ?? 200);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32);
using directory = scratch();
const files = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`src/${n}.txt`, `${n}\n`]));
const source = repository(join(directory.path, 'repo'), files);
mkdirSync(join(directory.path, 'logs'));
const told = await crash(source, join(directory.path, 'logs'), kills, 5, seed, (now) => console.error(JSON.stringify(now)));
console.log(JSON.stringify({ seed, ...told, fsck: git(source, 'fsck', '--no-dangling') }, undefined, 2));
process.exitCode = told.wrong.length > 0 ? 1 : 0;
