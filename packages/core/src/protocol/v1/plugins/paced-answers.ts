/**
 * A plugin of our own. An answer that comes faster than opencode works it off keeps its event loop busy until all of it is read: for that
 * time no event leaves the server, no request is answered, no abort arrives, and its memory grows (100 MB at once: 1.9 GB before the
 * health check ended it). So streams of providers are handed on in slices, and the event loop has a turn every 10 ms. An answer that
 * comes no faster than that is handed on as it comes.
 */
export const pacedAnswersPlugin = `const paced = Symbol.for("opencode-manager.paced")
const sliceBytes = 16384
const longestMs = 10
let turnAtMs = performance.now()

async function turn() {
  if (performance.now() - turnAtMs < longestMs) return
  await new Promise((resolve) => setImmediate(resolve))
  turnAtMs = performance.now()
}

function isPost([resource, init]) {
  return (init?.method ?? resource?.method ?? "GET").toUpperCase() === "POST"
}

function pace(response) {
  const type = response.headers.get("content-type") ?? ""
  if (!response.body || !type.includes("event-stream")) return response
  const reader = response.body.getReader()
  let rest
  const body = new ReadableStream({
    async pull(controller) {
      await turn()
      if (!rest) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        rest = value
      }
      const slice = rest.subarray(0, sliceBytes)
      rest = rest.byteLength > sliceBytes ? rest.subarray(sliceBytes) : undefined
      controller.enqueue(slice)
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 })
  const { status, statusText, headers, url, redirected } = response
  return Object.defineProperties(new Response(body, { status, statusText, headers }), {
    url: { value: url },
    redirected: { value: redirected },
  })
}

export const PacedAnswers = async () => {
  const fetch = globalThis.fetch
  if (!fetch[paced]) {
    const pacing = async (...call) => (isPost(call) ? pace(await fetch(...call)) : fetch(...call))
    globalThis.fetch = Object.assign(pacing, fetch, { [paced]: true })
  }
  return {}
}
`;
