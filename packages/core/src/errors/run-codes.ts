/** Codes of runs and their directories; see `errorCatalogue`. */
export const runErrors = {
  RUN_STORAGE_FULL: {
    meaning: 'There is no room for what a run has to write; nothing new is started.',
    remedy: 'Make room on the file system that the message names, and resume the run.',
  },
  RUN_UNREADABLE: {
    meaning: 'A file of a run is missing, damaged, written by a newer version, or cannot be read or written. Nothing was started anew.',
    remedy: 'Put the file back that the message names, or use the version that wrote it.',
  },
  RUN_GONE: {
    meaning: 'The directory of a run, or a file in it, was removed or replaced while the run used it.',
    remedy: 'Look for what removes directories there; start a new run.',
  },
  RUN_UNKNOWN: {
    meaning: 'No run has this name, more than one has it, or there is no run at all.',
    remedy: 'List the runs with ocm runs. Name one by its id, a part of the beginning or the end of it, or its path.',
  },
  RUN_DIRECTORY_UNSAFE: {
    meaning:
      'The directory for a run cannot be used: others may write there, it lies inside the repository or on a network file system, it holds something else, or it cannot be made.',
    remedy: 'Name another directory (ocm run: --run-dir).',
  },
  RUN_EXISTS: {
    meaning: 'The directory that was named for a new run holds a run already.',
    remedy: 'Resume that run, or name another directory.',
  },
  RUN_LOCKED: {
    meaning: 'Another process has the run.',
    remedy: 'Wait for it or stop it. If it ran on another machine and is gone for certain, take the run over.',
  },
  RUN_NOT_LIVE: {
    meaning: 'No process of this machine carries out the run now, so there is nothing to control.',
    remedy: 'Look at it with ocm status, and go on with ocm resume.',
  },
  RUN_PROTOCOL: {
    meaning: 'The run was begun with an opencode of another major version, whose sessions this one cannot go on with.',
    remedy: 'Name a binary of the version that the message names (--binary, OPENCODE_BIN), or begin a new run.',
  },
  RUN_UNSUITED: {
    meaning: 'A running server cannot carry out the run: it is for another directory tree or has another configuration, or takes no runs.',
    remedy: 'Leave out what the message names, or run it on a server of its own, without --on.',
  },
} as const;
