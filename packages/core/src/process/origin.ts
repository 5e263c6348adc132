import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { answersLife, type LifePlace } from './life.ts';
import { isSameProcess } from './start-time.ts';

/** Where a pid means something: one PID namespace of one boot of one machine. Containers on one machine share its boot id. */
export interface ProcessOrigin {
  readonly bootId: string;
  /** As `/proc/self/ns/pid` links to it, for example `pid:[4026531836]`. */
  readonly pidNamespace: string;
  readonly hostname: string;
}

/** A process as a lock or a record names it. Without `origin` (macOS, earlier versions) it is looked up as one of ours. */
export interface RecordedProcess {
  readonly pid: number;
  readonly startTime: string;
  readonly origin?: ProcessOrigin | undefined;
}

/** `gone` is certain. `foreign`: it may live where we cannot look, in another container or on another machine. */
export type Standing = 'alive' | 'gone' | 'foreign';

let own: Promise<ProcessOrigin | undefined> | undefined;

/** Where this process runs; undefined where the system does not say so (macOS). */
export function processOrigin(): Promise<ProcessOrigin | undefined> {
  own ??= readOrigin();
  return own;
}

async function readOrigin(): Promise<ProcessOrigin | undefined> {
  try {
    const [bootId, pidNamespace] = await Promise.all([readFile('/proc/sys/kernel/random/boot_id', 'utf8'), readlink('/proc/self/ns/pid')]);
    return { bootId: bootId.trim(), pidNamespace, hostname: hostname() };
  } catch {
    return undefined;
  }
}

/**
 * What became of a process that a lock or a record names. Its pid counts in its own PID namespace alone. Elsewhere on this machine its sign
 * of life decides: a container that was killed and started again finds the lock of its predecessor. After another boot the name of
 * the host decides: the same name is this machine (or this pod) after a restart, another one is a machine that we cannot look at.
 */
export async function standingOf({ pid, startTime, origin }: RecordedProcess, life: LifePlace): Promise<Standing> {
  const here = await processOrigin();
  if (origin === undefined || here === undefined || isSamePlace(origin, here)) {
    return (await isSameProcess(pid, startTime)) ? 'alive' : 'gone';
  }
  if (origin.bootId !== here.bootId) return origin.hostname === here.hostname ? 'gone' : 'foreign';
  return (await answersLife(life)) === false ? 'gone' : 'foreign';
}

function isSamePlace(a: ProcessOrigin, b: ProcessOrigin): boolean {
  return a.bootId === b.bootId && a.pidNamespace === b.pidNamespace;
}

/** Whose a foreign process is, for messages. */
export function describeForeign({ pid, origin }: RecordedProcess): string {
  if (origin === undefined) return `process ${pid}`;
  return `process ${pid} of another container or machine (host ${origin.hostname}, ${origin.pidNamespace}, boot ${origin.bootId.slice(0, 8)})`;
}
