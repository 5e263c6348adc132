import { createSessionPool } from '@opencode-manager/actors';

const pool = await createSessionPool({
  server: { directory: '.', opencodeConfig: './opencode.json', passProviderKeys: true },
  maxSessions: 8,
});
try {
  const files = ['src/cart.ts', 'src/money.ts', 'src/stock.ts'];
  for await (const { id, outcome, output } of pool.runAll(files.map((file) => ({ id: file, prompt: `Review ${file}` })))) {
    console.log(id, outcome, output);
  }
} finally {
  await pool.stop();
}
