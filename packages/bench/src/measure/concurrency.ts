/** Runs `count` jobs, `atOnce` at a time; the first that fails ends the wait. */
export async function runAtOnce(count: number, atOnce: number, job: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, lane));
}
