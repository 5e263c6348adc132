/** A place in the sequence of those that work at the same time, and ten ports for it. */
export interface Slot {
  readonly number: number;
  readonly portBase: number;
}

/** Gives the smallest number that is free. */
export class Slots {
  private readonly numbers = new Set<number>();
  private readonly ports = new Set<number>();
  private turn: Promise<unknown> = Promise.resolve();

  /** One at a time: two that look for ports at once find the same ones. */
  take(findPorts: (taken: ReadonlySet<number>) => Promise<number>): Promise<Slot> {
    const slot = this.turn.then(async () => {
      const portBase = await findPorts(this.ports);
      let number = 0;
      while (this.numbers.has(number)) number += 1;
      this.numbers.add(number);
      this.ports.add(portBase);
      return { number, portBase };
    });
    this.turn = slot.catch(() => {});
    return slot;
  }

  give({ number, portBase }: Slot): void {
    this.numbers.delete(number);
    this.ports.delete(portBase);
  }
}
