/** A small automation as somebody might write it: asks an opencode server for a changelog entry, with one second try. */
export interface Connection {
  readonly url: string;
  readonly directory: string;
}

export async function writeChangelog({ url, directory }: Connection, version: string): Promise<string> {
  const session = await post<{ id: string }>(url, '/session', directory, { title: `changelog ${version}` });
  const prompt = { parts: [{ type: 'text', text: `Write the changelog entry of version ${version}.` }] };
  let answer = await post<Answer>(url, `/session/${session.id}/message`, directory, prompt);
  if (answer.info.error) answer = await post<Answer>(url, `/session/${session.id}/message`, directory, prompt);
  if (answer.info.error) throw new Error(`no changelog: ${answer.info.error.data.message}`);
  return answer.parts
    .filter((part) => part.type === 'text')
    .map((part) => part.text)
    .join('');
}

interface Answer {
  readonly info: { readonly error?: { readonly data: { readonly message: string } } };
  readonly parts: readonly { readonly type: string; readonly text?: string }[];
}

async function post<T>(url: string, path: string, directory: string, body: unknown): Promise<T> {
  const response = await fetch(`${url}${path}?${new URLSearchParams({ directory }).toString()}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
