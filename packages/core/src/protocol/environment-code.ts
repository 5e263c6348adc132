/**
 * Code of our plugins, which runs inside the server: `forgetSecrets()` takes the server's password out of what its children inherit, and overwrites it,
 * and what a user passed (API keys), in the block that `/proc/PID/environ` shows, which no deletion reaches: a read tool follows a workspace's link
 * there. The server and its children keep using what was passed.
 *
 * @param secrets variables that are forgotten
 * @param startVariable one that has done its work at the server's start
 */
export const environmentCode = (secrets: readonly string[], startVariable: string): string => `const secrets = ${JSON.stringify(secrets)}
const ours = /^(PATH|LANG|LC_\\w+|TZ|SHELL|HOME|TMPDIR|XDG_\\w+|GIT_(CONFIG|ATTR|TERMINAL)_\\w+|BASH_ENV|${startVariable}|OPENCODE_(?!API_KEY$|(SERVER_)?PASSWORD$)\\w+)$/
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
  const overwrite = (name) => {
    const at = libc.getenv(Buffer.from(name + "\\0"))
    if (at) libc.memset(at, 0, libc.strlen(at))
  }
  for (const [name, text] of Object.entries(process.env)) {
    if (ours.test(name)) continue
    // A copy: the engine may keep no more than a view of the block.
    const value = Buffer.from(text).toString()
    overwrite(name)
    process.env[name] = value
  }
  // Some are no longer among them, and in the block still.
  for (const name of secrets) overwrite(name)
}

async function forgetSecrets() {
  await overwriteBlock().catch(() => {})
  for (const name of [...secrets, "${startVariable}"]) delete process.env[name]
}
`;
