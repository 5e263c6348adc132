import { opencodeUnderTest } from '@opencode-manager/testing';

export const { isV2, by } = opencodeUnderTest();
