import type { OpencodeConfig } from '../../../config/jsonc.ts';
import type { GivenConfiguration } from '../../configuration.ts';
// Agents and rules of the form of opencode 1 are guarded as there.
import { decidesEdits, withGuardedEdits as withOlderGuard } from '../../v1/configuration/guarded-edits.ts';
import { editRules, withGuardedEdits } from './guarded-edits.ts';

/**
 * What opencode 2 joins in a way of its own: lists add up, those of an agent too, each file is of the form of opencode 1 or 2, and the markdown files of a
 * directory count after the directory's file, before another one.
 */
const joinedByOpencode = ['agent', 'agents', 'mode', 'command', 'commands', 'skills', 'small_model'] as const;
const rules = ['permission', 'permissions', 'tools'] as const;

/** The configuration that a server gets, in two files as users have it. */
export interface TwoFiles {
  /** Of the configuration directory; the rest of it stands in the other one. */
  readonly beneath: OpencodeConfig | undefined;
  /** Counts last. */
  readonly above: OpencodeConfig;
  /** The rules beneath are the last ones that decide edits, and guarded: rules above would be said after a denial of all edits. */
  readonly isGuardedBeneath: boolean;
}

/**
 * Cuts what was handed over into the two files that it came from, as far as it makes a difference to opencode. Rules that speak of `.opencode` themselves stay
 * together: they decide whether edits there are denied.
 */
export function inTwoFiles({ config, places }: Pick<GivenConfiguration, 'config' | 'places'>): TwoFiles {
  if (places === undefined) return { beneath: undefined, above: config, isGuardedBeneath: false };
  const speaks = rules.some((name) => JSON.stringify(config[name] ?? null).includes('.opencode'));
  const cut = new Set<string>(speaks ? joinedByOpencode : [...joinedByOpencode, ...rules]);
  const entriesOf = (one: OpencodeConfig, isCut: boolean) => Object.entries(one).filter(([name]) => cut.has(name) === isCut);
  const beneath = Object.fromEntries(entriesOf(places.directory, true));
  const above = Object.fromEntries([...entriesOf(config, false), ...entriesOf(places.own, true)]);
  const isGuardedBeneath = rules.some((name) => name in beneath) && !saysOfEdits(above);
  if (Object.keys(beneath).length === 0) return { beneath: undefined, above, isGuardedBeneath };
  return {
    beneath: isGuardedBeneath ? guarded(beneath) : { ...guarded(beneath), permission: beneath['permission'] },
    above,
    isGuardedBeneath,
  };
}

function guarded(config: OpencodeConfig): OpencodeConfig {
  return withGuardedEdits(withOlderGuard(config));
}

function saysOfEdits(config: OpencodeConfig): boolean {
  return decidesEdits(config) || editRules(config['permissions']).length > 0;
}
