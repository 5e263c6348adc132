import { OpencodeManagerError, Redactor } from '@opencode-manager/core';
import { learnConfig, learnVariables } from '@opencode-manager/core/secrets';
import type { RunFlags } from '../flags.ts';

/** What needs one process for the whole run, or means this machine alone. */
const refused = {
  on: 'a run goes to one server or to a queue',
  resume: 'the run of a queue goes on by its name',
  maxTime: 'no process has the whole run, which could end it',
  maxTokens: 'no process has the whole run, which could end it',
  maxUsd: 'no process has the whole run, which could end it',
  failFast: 'no process has the whole run, which could end it',
  maxFailures: 'no process has the whole run, which could end it',
  patches: 'patches are collected into the directory of the run',
  keep: 'workspaces are on other hosts',
  yes: 'workspaces are clones',
  playground: 'its sessions are on other hosts',
  stateDir: 'no server runs here',
  port: 'no server runs here',
} as const satisfies Partial<Record<keyof RunFlags, string>>;

/** @throws OpencodeManagerError `QUEUE_UNSUITED` naming the flag */
export function refuseFlagsForQueue(flags: RunFlags): void {
  const found = (Object.keys(refused) as (keyof typeof refused)[]).find((name) => flags[name] !== undefined);
  if (found)
    throw unsuited(`--${found.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} cannot be had with --queue: ${refused[found]}`);
  if (flags.workspace !== undefined && flags.workspace !== 'clone' && flags.workspace !== 'shared')
    throw unsuited(`--workspace ${flags.workspace} cannot be had with --queue: other hosts make clones, or see one shared directory`);
}

export function unsuited(why: string): OpencodeManagerError {
  return new OpencodeManagerError('QUEUE_UNSUITED', `${why}. Nothing was put into the queue.`);
}

/** Names of variables that hold credentials as a rule. */
const credentialVariable = /(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$/i;

/** Finds secrets that this machine knows: those of a configuration and of its environment. */
export class SecretSearch {
  readonly #redactor = new Redactor();

  constructor(configuration: object, passed: readonly string[] = []) {
    learnConfig(this.#redactor, configuration);
    const names = Object.keys(process.env).filter((name) => credentialVariable.test(name));
    learnVariables(this.#redactor, process.env, [...names, ...passed]);
  }

  /** What goes into a queue is read by whoever reads the queue. @throws OpencodeManagerError `QUEUE_UNSUITED` */
  refuse(what: string, value: unknown): void {
    const { redacted } = this.#redactor.counted(value);
    if (redacted > 0) throw unsuited(`${what} holds a secret of this machine, which everybody who reads the queue would see. Take it out`);
  }
}
