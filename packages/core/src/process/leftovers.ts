/** What a manager that is gone left behind. */
export interface Leftover {
  readonly runId: string;
  readonly managerPid: number;
  readonly stateDir: string;
  readonly processes: readonly { readonly pid: number; readonly command: string }[];
}
export async function findLeftovers(): Promise<Leftover[]> {
  return [];
}
/** Ends the processes and removes the temporary state of leftovers; resolves with what was done. */
export async function reapLeftovers(_leftovers: readonly Leftover[]): Promise<{ readonly processes: number; readonly directories: number }> {
  return { processes: 0, directories: 0 };
}
