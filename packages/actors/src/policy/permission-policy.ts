export { decideAsk } from '@opencode-manager/core/policy';
