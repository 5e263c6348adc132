import { test } from 'vitest';
import { expectIsolation } from './support/isolation.ts';

test("decoys in the user's home, XDG directories and above the workspace are neither read, changed nor joined", () => expectIsolation());
