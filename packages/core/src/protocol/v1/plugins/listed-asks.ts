/**
 * A plugin of our own. opencode keeps what a tool told of its permission request, fields without a value included (`glob` and `grep`
 * without `path`, `webfetch` without `timeout`), and answers 400 to every list of the directory's requests until it is answered. The event
 * of a request carries the very object that is kept: such fields are taken out of it.
 */
export const listedAsksPlugin = `function dropUndefined(value) {
  if (typeof value !== "object" || value === null) return
  for (const key of Object.keys(value)) {
    if (value[key] === undefined && !Array.isArray(value)) delete value[key]
    else dropUndefined(value[key])
  }
}

export const ListedAsks = async () => ({
  event: async ({ event }) => {
    if (event.type === "permission.asked") dropUndefined(event.properties.metadata)
  },
})
`;
