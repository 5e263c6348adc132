#!/usr/bin/env sh
':' //; [ ! -e /dev/fd/2 ] || [ -e /dev/fd/1 ] || export OCM_STDOUT=closed; export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"; exec node "$0" "$@"

// The shell runs the line above, and node reads it as a string and a comment. Node opens /dev/null in place of a closed standard output
// before anybody could notice, so that the shell has to say it. How many arenas the C library keeps is settled when a process
// starts, and each of node's threads would keep one of its own: 10 MB of memory in `ocm run` (docs/decisions/0010).

// An older Node fails while it loads the modules, with a stack that names none of this. So this file imports nothing before it has looked.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major > 22 || (major === 22 && minor >= 19)) {
  import('../dist/bin.js');
} else {
  console.error(
    `error PLATFORM_UNSUPPORTED: ocm needs Node 22.19 or newer; this is Node ${process.versions.node} (${process.execPath}). Put a newer one first on PATH.`,
  );
  process.exitCode = 2;
}
