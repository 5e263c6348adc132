import { startFaultProxy, startScriptedModel } from '@opencode-manager/testing';

await using model = await startScriptedModel({ default: 'one two three four' });
await using proxy = await startFaultProxy({
  target: model.url,
  rules: [
    // The model answers, and nobody hears of it.
    { name: 'lost', nth: 1, fault: { type: 'drop', at: 'response' } },
    // The second answer breaks off in the middle of its third event.
    { name: 'cut', nth: 1, fault: { type: 'drop', at: { insideEvent: 3 }, how: 'fin' } },
  ],
});

async function ask(): Promise<string> {
  const response = await fetch(`${proxy.url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'model', stream: true, messages: [{ role: 'user', content: 'Count.' }] }),
  });
  return response.text();
}

for (const attempt of [1, 2, 3]) {
  const outcome = await ask().then(
    () => 'an answer',
    () => 'an error',
  );
  console.log(`Attempt ${attempt}: ${outcome}`);
}
console.log(`The model was asked ${model.calls.length} times.`);
console.log(proxy.requests.map(({ rule, outcome }) => `${rule ?? 'no rule'}: ${outcome}`).join(', '));
