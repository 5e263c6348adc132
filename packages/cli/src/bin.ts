#!/usr/bin/env node
import { main } from './main.ts';

// Nobody reads on (as in `ocm run ... --json | head -1`): stop in order, as after SIGTERM, instead of dying of EPIPE.
process.stdout.on('error', () => process.kill(process.pid, 'SIGTERM'));
// What is only said beside the results must not end the work.
process.stderr.on('error', () => undefined);

// Pipes and files are written synchronously on Linux and macOS, so nothing of the output is lost here.
process.exit(await main(process.argv.slice(2), process));
