// @boundaries-ignore settings of the workspace, never published
import { testConfig } from '../../vitest.shared.ts';
import { mergeConfig } from 'vitest/config';

export default mergeConfig(testConfig('actors'), { test: { globalSetup: ['test/support/coverage.global.ts'] } });
