/**
 * opencode 2 drops the time at which a provider wants to be asked again: it keeps none of a spent quota, and at most a quarter of an hour of another
 * refusal. So our plugin appends the time to the message of the refusal, and `readResetTime` takes it out again. There it survives a gap of the
 * events and a restart, as the message does.
 */
const mark = '[opencode-manager: free again at ';
const told = /\s*\[opencode-manager: free again at ([\dTZ:.-]+)\]/g;

/** A shorter wait is no spent quota. A provider that names one and refuses again and again is not waited for. */
const shortestMs = 55_000;

/** Splits a provider's message into what it says and the time that the provider named (milliseconds since the epoch). */
export function readResetTime(message: string): { readonly message: string; readonly resetAtMs?: number } {
  const [last] = [...message.matchAll(told)].slice(-1);
  if (last === undefined) return { message };
  const resetAtMs = Date.parse(last[1] ?? '');
  return { message: message.replace(told, '').trim(), ...(Number.isFinite(resetAtMs) && { resetAtMs }) };
}

/** Code for our plugin: a hook of the answers of providers. Refusals of another form than `{error: {message}}` or `{message}` are left as they are. */
export const resetTimeCode = `function waitOf(headers) {
  const exact = headers.get("retry-after-ms")
  const said = headers.get("retry-after")
  if (exact !== null && Number.isFinite(Number(exact))) return Number(exact)
  if (!said) return NaN
  return Number.isFinite(Number(said)) ? Number(said) * 1000 : Date.parse(said) - Date.now()
}

async function tellResetTime(call) {
  const { status, statusText, headers } = call.response
  if (status !== 429) return
  const waitMs = waitOf(headers)
  if (!(waitMs >= ${shortestMs} && waitMs < 1e10)) return
  const at = new Date(Date.now() + waitMs).toISOString()
  let text = await call.response.text()
  try {
    const body = JSON.parse(text)
    const place = typeof body.error?.message === "string" ? body.error : body
    if (typeof place.message === "string") {
      place.message += " ${mark}" + at + "]"
      text = JSON.stringify(body)
    }
  } catch {}
  call.response = new Response(text, { status, statusText, headers })
}
`;
