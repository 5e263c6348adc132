import { setTimeout as delay } from 'node:timers/promises';
import { createRequire } from 'node:module';
import { runAtOnce } from '../measure/concurrency.ts';
import { Agent } from 'undici';

/** Path of the released opencode 2 that the tests run. */
export function opencode2Binary(): string {
  const inPackage = '@opencode/cli-linux-x64-baseline/bin/opencode';
  try {
    return createRequire(new URL('../../../../scripts/opencode-2/package.json', import.meta.url)).resolve(inPackage);
  } catch (error) {
    throw new Error('opencode 2 is not installed: npm run bootstrap (Linux on x64 alone)', { cause: error });
  }
}

/** Prompts to a server of opencode 2 by plain requests, in sessions with and without a title: without one it asks the model for it. */
export async function bareLoop2(
  server: { readonly directory: string; credentials(): { readonly url: string; readonly authorization: string } },
  session: { readonly title?: string },
): Promise<(count: number, atOnce: number) => Promise<void>> {
  const { url, authorization } = server.credentials();
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connections: 256 });
  const ask = async (method: 'GET' | 'POST', path: string, body?: unknown) => {
    const headers = { authorization, 'content-type': 'application/json' };
    const answer = await agent.request({ origin: url, path, method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${path}: ${answer.statusCode}`);
    return text === '' ? {} : (JSON.parse(text) as { data: Record<string, unknown> });
  };
  const prompt = async () => {
    const { data } = (await ask('POST', '/api/session', { ...session, location: { directory: server.directory } })) as {
      data: { id: string };
    };
    await ask('POST', `/api/session/${data.id}/prompt`, { text: 'say done' });
    while (!(await ended(data.id))) await delay(10);
  };
  const ended = async (id: string) => {
    const { data } = (await ask('GET', `/api/session/${id}`)) as { data: { time: { idle?: number } } };
    return data.time.idle !== undefined;
  };
  return (count, atOnce) => runAtOnce(count, atOnce, prompt);
}
