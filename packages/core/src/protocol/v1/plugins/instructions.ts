/**
 * A plugin of our own. opencode does not read a workspace's AGENTS.md itself here: it would follow any link. What was read safely stands in a
 * file for each workspace, as a JSON list of texts, and joins the system prompt of each call that an agent makes where opencode would have
 * put it: of prompts, commands and sub-agents. A file that the configuration names too is there already. Calls for titles and summaries have
 * no environment in their system prompt, and no instructions in opencode either.
 */
export const instructionsPlugin = (root: string): string => `import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"

const end = "</env>"

export const Instructions = async ({ directory }) => {
  const file = join(${JSON.stringify(root)}, createHash("sha256").update(directory).digest("hex") + ".json")
  return {
    "experimental.chat.system.transform": async (input, { system }) => {
      const index = system.findIndex((text) => text.includes(end))
      if (index < 0) return
      const texts = JSON.parse(await readFile(file, "utf8").catch(() => "[]"))
      const isThere = (text) => system.some((part) => part.includes(text.slice(0, text.indexOf("\\n") + 1)))
      const wanted = texts.filter((text) => !isThere(text))
      if (wanted.length === 0) return
      const at = system[index].indexOf(end) + end.length
      system[index] = system[index].slice(0, at) + "\\n" + wanted.join("\\n") + system[index].slice(at)
    },
  }
}
`;
