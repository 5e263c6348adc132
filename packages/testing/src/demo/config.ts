/** Files of an opencode configuration directory for the demo, by path: one command. @public */
export const demoConfigFiles: Readonly<Record<string, string>> = {
  'commands/changelog.md': `---
description: Write the changelog entry of a version
---

Add an entry for version $ARGUMENTS to CHANGELOG.md, from what git says has changed since the last entry.
`,
};
