import { afterAll } from 'vitest';

// Tests read nothing of the git configuration of whoever runs them; those about a user's own have one of their own.
process.env['GIT_CONFIG_GLOBAL'] ??= '/dev/null';
process.env['GIT_CONFIG_NOSYSTEM'] ??= '1';

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
