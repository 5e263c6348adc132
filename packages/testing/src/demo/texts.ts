/** What the model of the demo says and writes. */
export const demoTexts = {
  explainRetry: `\`retry\` gives up for one of two reasons.

1. **The error says so.** An error with \`permanent\` set is thrown at once: asking again would change nothing.
2. **The tries are spent.** \`attempt\` starts at 1 and the call is thrown back to you when it reaches \`tries\`, which is 4 unless you say otherwise.

In between it waits 100, 200 and 400 ms. The clock is passed in as \`sleep\`, so a test can run all four tries without waiting. Note that there is no upper limit on the wait: with ten tries the last pause would be 25 seconds.`,

  reviewCartReasoning: `addItem checks the number of lines, not the quantity. total multiplies cents by quantity, so a fraction or a negative number goes straight into the sum.`,

  reviewCart: `The riskiest line is \`sum += line.cents * line.quantity\`.

\`addItem\` takes any quantity, so \`-1\` lowers the total and \`0.5\` makes it a fraction of a cent, which \`money.js\` promises never to see. Nothing fails at that point; the wrong amount shows up on an invoice. I would refuse quantities that are not whole numbers of at least one in \`addItem\`, where the mistake is made, and leave \`total\` as it is.`,

  fixRounding: `Fixed. \`19.99 * 100\` is 1998.9999999999998 in binary floating point, and \`Math.floor\` cut it to 1998. \`Math.round\` gives 1999. Amounts with at most two decimals now come out exactly; a third decimal is rounded half up, which is what the price list expects. The two existing tests still hold. I changed one line and nothing else.`,

  license: `MIT License

Copyright (c) 2026 The corner-shop authors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`,

  addLicense: `I added \`LICENSE\` with the MIT text, the year 2026 and "The corner-shop authors" as the holders. You may want to name it in \`package.json\` as well: a \`license\` field with the value MIT lets registries and audits find it. I left that file alone, because you asked for the licence file only, and a release may be under way. Nothing else in the repository mentions a licence, so there is nothing that contradicts it.`,

  cartTest: `import assert from 'node:assert/strict';
import { test } from 'node:test';

import { addItem, total } from '../src/cart.js';
import { MAX_ITEMS } from '../src/limits.js';

const tea = { name: 'tea', cents: 350 };

test('adding leaves the old cart alone', () => {
  const before = [];
  assert.equal(addItem(before, tea, 2).length, 1);
  assert.deepEqual(before, []);
});

test('a full cart takes no more', () => {
  const full = Array.from({ length: MAX_ITEMS }, () => ({ ...tea, quantity: 1 }));
  assert.throws(() => addItem(full, tea, 1), /cart is full/);
});

test('the total counts quantities', () => {
  assert.equal(total(addItem(addItem([], tea, 2), { name: 'milk', cents: 120 }, 1)), 820);
});
`,

  testCart: `\`test/cart.test.js\` has three tests: adding does not change the cart it was given, a full cart refuses another line, and the total counts quantities. I took the limit from \`limits.js\` so that the test stays right when the number changes. I did not write one for quantities below one: the TODO in \`cart.js\` says that they should be refused, and a test for today's behaviour would have to be turned round as soon as that is done.`,

  changelogEntry: `## 1.3.0

- Prices with two decimals are no longer one cent short.
- The cart and the prices have tests.

## 1.2.0`,

  changelog: `I added the entry for the new version above the last one, with two lines: the price fix and the new tests. I kept the style of the entries that are there, which say what a user of the library notices and leave out how it was done. The version in \`package.json\` is unchanged; raise it when you release.`,

  renameTimeout: `Renamed in both files: \`src/limits.js\` defines \`STOCK_TIMEOUT_MS\`, and \`src/stock.js\` imports and uses it. Nothing else in the repository named it; the tests and the README do not. The new name says whose timeout it is and that the number is in milliseconds, so the next limit can have a name of its own. The value is still 3000.`,

  testsPassed: `Both tests pass: whole amounts become cents, and cents are printed with two decimals. No test looks at an amount with decimals going in, for example \`toCents(19.99)\`, and that is the case that is most likely to be wrong in code like this, because 19.99 has no exact binary form. I would add it before anything else in that file is changed. The run took well under a second, so there is room for it.`,

  listTodos: `There are two, and I would take them in this order.

1. \`src/cart.js\`: refuse a quantity below one. This is a bug that waits for a typing mistake: the total can become negative today.
2. \`src/stock.js\`: cache the answer for a minute. This is about speed only. Mind that a cached answer can promise the last piece twice, so decide first how wrong it may be.`,

  hostsRefused: `I was not allowed to read \`/etc/hosts\`, because it lies outside the workspace, so I cannot tell you whether the entry is there. Inside the repository nothing names a host: \`src/stock.js\` gets its \`fetchStock\` from the caller. If you want me to look, allow the permission \`external_directory\` for \`/etc/*\`, or run \`grep stock /etc/hosts\` yourself and tell me what it says.`,

  hostsRead: `I read \`/etc/hosts\`, and the answer does not matter much for this library: nothing in the repository names a host, since \`src/stock.js\` gets its \`fetchStock\` from the caller. If the stock service cannot be reached, look at the code that passes that function in, and at the address that it is configured with there.`,

  planReasoning: `The library has no dependencies and five small modules. limits.js imports nothing, so the order follows the imports.`,

  planSteps: [
    'Check the JavaScript with tsc through JSDoc types',
    'Move limits.js and money.js, which import nothing',
    'Move cart.js, stock.js and retry.js',
    'Publish declarations and run the tests on the output',
  ],

  plan: `The plan has four steps, each of which can be released on its own.

First let \`tsc\` check the JavaScript as it is: that finds most mistakes and changes no file name. Then move \`limits.js\` and \`money.js\`, which import nothing, and after them the three modules that use them. Last, publish the declarations and run the tests on what was built. I would stop after the first step if nobody outside uses the types.`,
} as const;
