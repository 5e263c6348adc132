import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Where the instructions of all workspaces stand, in a state directory. */
export const instructionsDirectory = (stateDir: string): string => join(stateDir, 'run', 'instructions');

/** Where the instructions of a workspace wait for the server. */
export function instructionsFile(root: string, directory: string): string {
  return join(root, `${createHash('sha256').update(directory).digest('hex')}.md`);
}

/**
 * A plugin of our own. opencode does not read a workspace's AGENTS.md itself here: it would follow any link. What was read safely stands in a
 * file for each workspace, and joins the system prompt of each call that an agent makes: of prompts, commands and sub-agents, as in opencode.
 * Calls for titles and summaries have no environment in their system prompt, and no instructions in opencode either.
 */
export const instructionsPlugin = (root: string): string => `import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"

export const Instructions = async ({ directory }) => {
  const file = join(${JSON.stringify(root)}, createHash("sha256").update(directory).digest("hex") + ".md")
  return {
    "experimental.chat.system.transform": async (input, { system }) => {
      if (!system.some((text) => text.includes("<env>"))) return
      const text = await readFile(file, "utf8").catch(() => "")
      if (text) system[system.length - 1] += "\\n\\n" + text
    },
  }
}
`;
