import { afterAll, vi } from 'vitest';

// Tests read nothing of the git configuration of whoever runs them; those about a user's own have one of their own.
process.env['GIT_CONFIG_GLOBAL'] ??= '/dev/null';
process.env['GIT_CONFIG_NOSYSTEM'] ??= '1';

/** Warnings of Node that mean a leak or a mistake in our code. */
const fatal = new Set(['MaxListenersExceededWarning', 'DeprecationWarning', 'TimeoutOverflowWarning', 'TimeoutNegativeWarning']);
const seen: Error[] = [];
const onWarning = (warning: Error) => {
  if (fatal.has(warning.name)) seen.push(warning);
};
process.on('warning', onWarning);

afterAll(() => {
  // The files of a package share a process, and this file is run for each of them.
  process.off('warning', onWarning);
  vi.unstubAllEnvs();
  const [first] = seen.splice(0);
  if (first) throw first;
});
