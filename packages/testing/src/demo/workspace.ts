/** A small shop library, with something to do in every file, by path. @public */
export const demoWorkspaceFiles: Readonly<Record<string, string>> = {
  'package.json': `{
  "name": "corner-shop",
  "version": "1.2.0",
  "type": "module",
  "scripts": { "test": "node --test" }
}
`,
  'README.md': `# corner-shop

Prices, carts and orders for a small shop.

    npm test
`,
  'CHANGELOG.md': `# Changelog

## 1.2.0

- Orders can be cancelled until they are packed.
`,
  'AGENTS.md': `Plain JavaScript, no dependencies. Every public function has a test.
`,
  'src/money.js': `/** Amounts are whole cents; a float never leaves this file. */
export function toCents(amount) {
  return Math.floor(amount * 100);
}

export function format(cents) {
  return (cents / 100).toFixed(2);
}
`,
  'src/cart.js': `import { MAX_ITEMS } from './limits.js';

// TODO: refuse a quantity below one
export function addItem(cart, item, quantity) {
  if (cart.length >= MAX_ITEMS) throw new Error('cart is full');
  return [...cart, { ...item, quantity }];
}

export function total(cart) {
  let sum = 0;
  for (const line of cart) sum += line.cents * line.quantity;
  return sum;
}
`,
  'src/limits.js': `export const MAX_ITEMS = 50;
export const TIMEOUT = 3000;
`,
  'src/stock.js': `import { TIMEOUT } from './limits.js';

// TODO: cache the answer for a minute
export async function inStock(item, fetchStock) {
  return fetchStock(item.id, { signal: AbortSignal.timeout(TIMEOUT) });
}
`,
  'src/retry.js': `/** Calls again after 100 ms, 200 ms, 400 ms, and gives up after four tries. */
export async function retry(call, { tries = 4, sleep }) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (error) {
      if (attempt === tries || error.permanent) throw error;
      await sleep(100 * 2 ** (attempt - 1));
    }
  }
}
`,
  'test/money.test.js': `import assert from 'node:assert/strict';
import { test } from 'node:test';

import { format, toCents } from '../src/money.js';

test('whole amounts', () => assert.equal(toCents(12), 1200));
test('two decimals', () => assert.equal(format(1250), '12.50'));
`,
};
