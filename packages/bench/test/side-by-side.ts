import { runSideBySide, type OpenVariant } from '../src/case/run-case.ts';

let turns = 0;

/** Tells when its round came. */
const lane: OpenVariant = async ({ size = 0 }, stack) => {
  stack.defer(() => void (turns = Number.NaN));
  return async () => ({ turn: turns++, size });
};

await runSideBySide({ first: lane, second: lane, seldom: lane });
