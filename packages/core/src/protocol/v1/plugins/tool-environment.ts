import type { DirectoryFilesInput } from '../../configuration.ts';

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
const secret = "OPENCODE_SERVER_PASSWORD"
const ours = /^(PATH|LANG|LC_\\w+|TZ|SHELL|HOME|TMPDIR|XDG_\\w+|GIT_(CONFIG|ATTR|TERMINAL)_\\w+|BASH_ENV|${startVariable}|OPENCODE_(?!API_KEY$|SERVER_PASSWORD$)\\w+)$/
const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libSystem.B.dylib"]
const symbols = {
  getenv: { args: ["cstring"], returns: "ptr" },
  strlen: { args: ["ptr"], returns: "usize" },
  memset: { args: ["ptr", "i32", "usize"], returns: "ptr" },
}

async function openLibc() {
  const { dlopen } = await import("bun:ffi")
  for (const library of libraries) {
    try {
      return dlopen(library, symbols).symbols
    } catch {}
  }
}

async function overwriteBlock() {
  const libc = await openLibc()
  if (!libc) return
  for (const [name, text] of Object.entries(process.env)) {
    if (ours.test(name)) continue
    // A copy: the engine may keep no more than a view of the block.
    const value = Buffer.from(text).toString()
    const at = libc.getenv(Buffer.from(name + "\\0"))
    if (at) libc.memset(at, 0, libc.strlen(at))
    process.env[name] = value
  }
}

export const ToolEnvironment = async ({ directory }) => {
  const file = join(${JSON.stringify(toolVariablesDirectory)}, createHash("sha256").update(directory).digest("hex") + ".json")
  await overwriteBlock().catch(() => {})
  delete process.env[secret]
  delete process.env.${startVariable}
  return {
    "shell.env": async (input, output) => {
      // Undefined takes a variable away.
      for (const [name, value] of Object.entries(tools)) output.env[name] = value ?? undefined
      Object.assign(output.env, JSON.parse(await readFile(file, "utf8").catch(() => "{}")))
      output.env[secret] = undefined
      if (input.sessionID) output.env.${sessionVariable} = input.sessionID
    },
  }
}
`;
