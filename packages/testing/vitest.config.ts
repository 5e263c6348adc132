import { mergeConfig } from 'vitest/config';

import { testConfig } from '../../vitest.shared.ts';

export default mergeConfig(testConfig('testing'), { test: { include: ['examples/**/*.test.ts'] } });
