#!/usr/bin/env node
import { main } from './main.ts';

// Pipes and files are written synchronously on Linux and macOS, so nothing of the output is lost here.
process.exit(await main(process.argv.slice(2), process));
