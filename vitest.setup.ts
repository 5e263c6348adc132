import { afterAll } from 'vitest';

/** Warnings of Node that mean a leak or a mistake in our code. */
const fatal = new Set(['MaxListenersExceededWarning', 'DeprecationWarning', 'TimeoutOverflowWarning', 'TimeoutNegativeWarning']);
const seen: Error[] = [];
process.on('warning', (warning) => {
  if (fatal.has(warning.name)) seen.push(warning);
});

afterAll(() => {
  const [first] = seen.splice(0);
  if (first) throw first;
});
