import { startScriptedModel } from '@opencode-manager/testing';

await using model = await startScriptedModel({
  rules: [
    { when: { user: /task (\d+)/ }, reply: 'Task {{user.1}} is done.' },
    { when: { user: 'slow' }, reply: { text: 'One word after the other.', tokensPerSecond: 20 } },
    { when: { user: 'busy' }, times: 1, reply: { error: { status: 429, retryAfterSeconds: 1 } } },
    { when: { user: 'list' }, reply: [{ toolCalls: [{ name: 'bash', arguments: { command: 'ls' } }] }, 'I see: {{toolResult}}'] },
  ],
});

const response = await fetch(`${model.url}/chat/completions`, {
  method: 'POST',
  body: JSON.stringify({ model: 'model', messages: [{ role: 'user', content: 'Please do task 7.' }] }),
});
const completion = (await response.json()) as { choices: { message: { content: string } }[] };
console.log(completion.choices[0]?.message.content); // Task 7 is done.
