import type { DirectoryFilesInput } from '../../configuration.ts';
import { environmentCode } from '../../environment-code.ts';

const secret = 'OPENCODE_SERVER_PASSWORD';

/**
 * A plugin of our own. Whoever has the password can approve permission requests, so that the server forgets it once it knows it: in
 * the variables that its children inherit (tools, shell lines, MCP servers, command templates), and in the block that
 * `/proc/PID/environ` shows, which no deletion reaches. What a user passed (API keys) is overwritten in that block too: opencode's
 * read tool follows a workspace's link to `/proc/self/environ`. The server and its children keep using those.
 * Tools and shell lines get an environment of their own in place of what isolates the server (docs/isolation.md), then the variables of their
 * directory (a sub-agent has its own session, and the same directory), and the mark of their session. The choice of an allocator has done
 * its work at the server's start. `ocm doctor` looks whether the password is gone.
 */
export const toolEnvironmentPlugin = ({
  toolEnvironment,
  toolVariablesDirectory,
  sessionVariable,
  startVariable,
}: DirectoryFilesInput): string => `import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"

const tools = ${JSON.stringify(toolEnvironment)}
${environmentCode([secret], startVariable)}
export const ToolEnvironment = async ({ directory }) => {
  const file = join(${JSON.stringify(toolVariablesDirectory)}, createHash("sha256").update(directory).digest("hex") + ".json")
  await forgetSecrets()
  return {
    "shell.env": async (input, output) => {
      // Undefined takes a variable away.
      for (const [name, value] of Object.entries(tools)) output.env[name] = value ?? undefined
      Object.assign(output.env, JSON.parse(await readFile(file, "utf8").catch(() => "{}")))
      for (const name of secrets) output.env[name] = undefined
      if (input.sessionID) output.env.${sessionVariable} = input.sessionID
    },
  }
}
`;
