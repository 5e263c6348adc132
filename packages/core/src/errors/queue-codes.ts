/** Codes of runs that many hosts carry out; see `errorCatalogue`. */
export const queueErrors = {
  LEASE_LOST: {
    meaning: 'A host has no lease of a task any more: it did not renew it in time, and another host may work at the task.',
    remedy:
      'None; the task goes on elsewhere. If it happens often, hosts are frozen, overloaded or cut off from the queue for longer than a minute.',
  },
  QUEUE_UNUSABLE: {
    meaning: 'The queue cannot be used: its URL is not understood, its driver is not installed, or it cannot be reached.',
    remedy: 'Name a queue as redis://HOST:PORT or postgres://USER@HOST/DATABASE, and install what the message names.',
  },
  QUEUE_UNSUITED: {
    meaning:
      'A task or a flag is not for many hosts: it holds a secret, names what only this machine has, or needs one process for the whole run.',
    remedy: 'Change what the message names, or run it here without --queue.',
  },
  QUEUE_RUN_DIFFERS: {
    meaning: 'The queue has a run of this name with other tasks or another configuration.',
    remedy: 'Choose another name with --run, or put the tasks back.',
  },
} as const;
