#!/usr/bin/env sh
':' //; [ ! -e /dev/fd/2 ] || [ -e /dev/fd/1 ] || export OCM_STDOUT=closed; export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"; exec node "$0" "$@"

// The shell runs the line above, and node reads it as a string and a comment. Node opens /dev/null in place of a closed standard output
// before anybody could notice, so that the shell has to say it. How many arenas the C library keeps is settled when a process
// starts, and each of node's threads would keep one of its own: 10 MB of memory in `ocm run` (docs/decisions/0010).
import '../dist/bin.js';
