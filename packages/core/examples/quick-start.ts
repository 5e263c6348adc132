import { launchServer } from '@opencode-manager/core';

const server = await launchServer({ directory: '.', opencodeConfig: './opencode.json', passEnv: ['ANTHROPIC_API_KEY'] });
try {
  const session = await server.createSession({ title: 'readme' });
  const { text, usage, proof } = await session.prompt('Summarise the README', { timeoutMs: 120_000 });
  console.log(text, usage, proof);
} finally {
  await server.stop();
}
