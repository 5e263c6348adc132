export { decideAsk } from './decide.ts';
export { rulesFor } from './rules-for.ts';
export { matchesShellLine } from './shell-line.ts';
export type { Ask, AskDecision, AskedQuestion, PermissionCallback, PermissionPolicy, PermissionPolicyRule } from './types.ts';
export { matchesWildcard } from './wildcard.ts';
