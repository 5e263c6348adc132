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
  print(metrics);
}

/** One round of work of a variant, of the size that the settings give. */
export type Round = () => Promise<Metrics>;

/** Makes a variant ready for its rounds. What it opens it gives to `stack`, which closes it after the last round of all. */
export type OpenVariant = (settings: Settings, stack: AsyncDisposableStack) => Promise<Round>;

/**
 * The whole of a program whose variants live in one process and take turns round by round (A B C, then C B A), so that an hour
 * of the machine falls on all of them. It prints the rounds of each as the last line, and ends the process: what must be closed goes into
 * the stack. The harness starts it as
 * `node <file> <rounds of each variant as JSON> <settings as JSON>`.
 *
 * @example
 * await runSideBySide({ ours: async ({ prompts }, stack) => { const pool = stack.use(await open()); return () => measure(pool, prompts) }, peer: ... })
 */
export async function runSideBySide(variants: Readonly<Record<string, OpenVariant>>): Promise<void> {
  const [wanted = '{}', text = '{}'] = process.argv.slice(2);
  const settings = JSON.parse(text) as Settings;
  await using stack = new AsyncDisposableStack();
  const lanes: { readonly name: string; readonly rounds: number; readonly round: Round; readonly done: Metrics[] }[] = [];
  for (const [name, rounds] of Object.entries(JSON.parse(wanted) as Record<string, number>)) {
    const open = variants[name];
    if (!open) throw new Error(`variant: ${name} is unknown; there are ${Object.keys(variants).join(', ')}`);
    lanes.push({ name, rounds, round: await open(settings, stack), done: [] });
  }
  for (let turn = 0; lanes.some(({ rounds }) => turn < rounds); turn += 1) {
    const due = lanes.filter(({ rounds }) => turn < rounds);
    for (const { round, done } of turn % 2 === 0 ? due : due.toReversed()) done.push(await round());
  }
  await stack.disposeAsync();
  print(Object.fromEntries(lanes.map(({ name, done }) => [name, done])));
}

/** The last line of a program, and its end: a connection that a peer cannot close must not keep the process. */
function print(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}
