import type { DirectoryFilesInput } from '../../configuration.ts';
import { environmentCode } from '../../environment-code.ts';
import { resetTimeCode } from './reset-time.ts';

const helpers = `const fileOf = (root, directory) => join(root, createHash("sha256").update(directory).digest("hex") + ".json")
const readJson = async (file, otherwise) => JSON.parse(await readFile(file, "utf8").catch(() => otherwise))

/** Sessions whose calls of a line have begun, by the line. */
const calling = new Map()

function dropUndefined({ metadata }) {
  for (const [name, value] of Object.entries(metadata ?? {})) if (value === undefined) delete metadata[name]
}
`;

/**
 * The plugin of ours that opencode 2 loads. It does what its configuration cannot:
 *
 * - Tools and shell lines get an environment of their own in place of what isolates the server (docs/isolation.md), then the variables of their directory.
 * - The instructions of a workspace, which were read safely, stand in a file for each, as a JSON list of texts; they join the system prompt of each call
 *   that an agent makes. opencode itself reads none there.
 * - A tool's process carries the mark of its session, which stands in the environment of a session of ours. A sub-agent's shell hears of its session before it is made, by the
 *   call of its tool: of two calls of one line at once, neither is marked, so that nobody ends the tool of another.
 * - The message of a rejected permission request is told to the model; opencode leaves it out of what the tool answers.
 * - A permission request has no field without a value (`glob` and `grep` without `path`): opencode keeps it, and answers 400 to every list of requests
 *   until that one is answered.
 * - The time at which a provider that refuses wants to be asked again is told with its message.
 */
export const managerPlugin = ({
  toolEnvironment,
  toolVariablesDirectory,
  instructionsDirectory,
  sessionVariable,
  startVariable,
}: DirectoryFilesInput): string => `import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"

const tools = ${JSON.stringify(toolEnvironment)}

${environmentCode(['OPENCODE_PASSWORD', 'OPENCODE_SERVER_PASSWORD'], startVariable)}
${resetTimeCode}
${helpers}
export default {
  id: "opencode-manager",
  setup: async (context) => {
    const { directory } = context.location
    await forgetSecrets()
    await context.session.hook("context", async ({ system }) => {
      const texts = await readJson(fileOf(${JSON.stringify(instructionsDirectory)}, directory), "[]")
      for (const text of texts) {
        const head = text.slice(0, text.indexOf("\\n") + 1)
        if (!system.some((part) => part.text?.includes(head))) system.push({ type: "text", text })
      }
    })
    await context.tool.hook("execute.before", (call) => {
      if (call.tool !== "shell") return
      calling.set(call.input?.command, [...(calling.get(call.input?.command) ?? []), call.sessionID])
    })
    await context.tool.hook("execute.after", (call) => {
      const refusal = call.status === "error" ? call.error?.error : undefined
      if (refusal?._tag === "Permission.CorrectedError" && refusal.feedback) call.error.message += ". " + refusal.feedback
      if (call.tool !== "shell") return
      const left = (calling.get(call.input?.command) ?? []).slice()
      left.splice(left.indexOf(call.sessionID), 1)
      if (left.length > 0) calling.set(call.input?.command, left)
      else calling.delete(call.input?.command)
    })
    await context.session.hook("http.response", tellResetTime)
    await context.permission.hook("evaluate", dropUndefined)
    await context.shell.hook("create.before", async (shell) => {
      const { env } = shell
      // That of a session has nothing but its mark.
      for (const [name, value] of Object.entries(process.env)) env[name] ??= value
      // Null takes a variable away.
      for (const [name, value] of Object.entries(tools)) {
        if (value === null) delete env[name]
        else env[name] = value
      }
      Object.assign(env, await readJson(fileOf(${JSON.stringify(toolVariablesDirectory)}, directory), "{}"))
      const sessions = new Set(calling.get(shell.command) ?? [])
      if (sessions.size === 1) env.${sessionVariable} ??= [...sessions][0]
    })
  },
}
`;
