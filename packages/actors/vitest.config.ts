// @boundaries-ignore settings of the workspace, never published
import { mergeConfig } from 'vitest/config';
import { testConfig } from '../../vitest.shared.ts';

export default mergeConfig(testConfig('actors'), { test: { globalSetup: ['test/support/coverage.global.ts'] } });
