import { mergeConfig } from 'vitest/config';

// @boundaries-ignore settings of the workspace, never published
import { testConfig } from '../../vitest.shared.ts';

// The examples are tests too: what the README shows has to run.
export default mergeConfig(testConfig('testing'), { test: { include: ['examples/**/*.test.ts'] } });
