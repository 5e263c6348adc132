export { matchesWildcard } from '@opencode-manager/core/policy';
