// @boundaries-ignore settings of the workspace, never published
import { testConfig } from '../../vitest.shared.ts';

export default testConfig('queue');
