/** Answers `initialize` and `tools/list` of the Model Context Protocol with one tool. */
export const mcpServerScript = `#!/usr/bin/env node
const tools = [{ name: 'hello', description: 'says hello', inputSchema: { type: 'object', properties: {} } }]
const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'demo', version: '1.0.0' } }),
  'tools/list': () => ({ tools }),
}
let rest = ''
process.stdin.on('data', (chunk) => {
  const lines = (rest + chunk).split('\\n')
  rest = lines.pop()
  for (const line of lines.filter(Boolean)) {
    const { id, method, params } = JSON.parse(line)
    if (answers[method]) console.log(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method](params) }))
  }
})
`;
