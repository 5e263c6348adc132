/** What one run measured, by name; the harness compares the values of the same name. */
export type Metrics = Readonly<Record<string, number>>;

/** Sizes and choices of one run, as the list of benchmarks gives them. */
export type Settings = Readonly<Record<string, number>>;

/** One of the things that are compared: ours, or a peer. */
export type Variant = (settings: Settings) => Promise<Metrics>;

/**
 * The whole of a benchmark's program: it runs one variant in this process and prints its metrics as the last line.
 * The harness starts it as `node <file> <variant> <settings as JSON>`, a process for each run.
 *
 * @example
 * await runCase({ ours: async ({ events }) => ({ eventsPerSecond: await flood(events) }), peer: ... })
 */
export async function runCase(variants: Readonly<Record<string, Variant>>): Promise<void> {
  const [name = '', settings = '{}'] = process.argv.slice(2);
  const variant = variants[name];
  if (!variant) throw new Error(`variant: ${name || 'none'} is unknown; there are ${Object.keys(variants).join(', ')}`);
  const metrics = await variant(JSON.parse(settings) as Settings);
  // A connection that a peer cannot close must not keep the process.
  process.stdout.write(`${JSON.stringify(metrics)}\n`, () => process.exit(0));
}
