import { sessionMarkerVariable } from '../process/table.ts';
import { engineAllocatorVariable } from './engine-allocator.ts';

/**
 * A plugin of our own. Whoever has the password can approve permission requests, so that the server
 * forgets it once it knows it: in the variables that its children inherit (tools, shell lines, MCP servers, command templates), and
 * in the block that `/proc/PID/environ` shows, which no deletion reaches. It also marks what a session's tools start. The choice
 * of an allocator has done its work at the server's start. `ocm doctor` looks whether it worked.
 */
export const toolEnvironmentPlugin = `const secret = "OPENCODE_SERVER_PASSWORD"
const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libSystem.B.dylib"]
const symbols = {
  getenv: { args: ["cstring"], returns: "ptr" },
  strlen: { args: ["ptr"], returns: "usize" },
  memset: { args: ["ptr", "i32", "usize"], returns: "ptr" },
}

async function overwrite(name) {
  const { dlopen } = await import("bun:ffi")
  for (const library of libraries) {
    let libc
    try {
      libc = dlopen(library, symbols).symbols
    } catch {
      continue
    }
    const value = libc.getenv(Buffer.from(name + "\\0"))
    if (value) libc.memset(value, 0, libc.strlen(value))
    return
  }
}

export const ToolEnvironment = async () => {
  await overwrite(secret).catch(() => {})
  delete process.env[secret]
  delete process.env.${engineAllocatorVariable}
  return {
    "shell.env": async (input, output) => {
      // Undefined takes a variable away.
      output.env[secret] = undefined
      if (input.sessionID) output.env.${sessionMarkerVariable} = input.sessionID
    },
  }
}
`;
