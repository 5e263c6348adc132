import { afterEach, expect, it } from 'vitest';
import { openBrowser } from './support/browser.ts';

const named = process.env['CHROMIUM_BIN'];

afterEach(() => {
  if (named === undefined) delete process.env['CHROMIUM_BIN'];
  else process.env['CHROMIUM_BIN'] = named;
});

it('says clearly that CHROMIUM_BIN names no browser', async () => {
  process.env['CHROMIUM_BIN'] = '/nowhere/chromium';
  await expect(openBrowser()).rejects.toThrow('CHROMIUM_BIN names /nowhere/chromium, which is no program that can be run (ENOENT).');
});
