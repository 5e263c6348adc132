import type { WorkspaceRequest, WorkspaceSource } from '@opencode-manager/actors';

interface NamedAttempt {
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
  /** The attempt whose place it has; its own when absent. */
  readonly place?: number;
}

/** Attempts of one task are tasks of their own to the pool: which name is which attempt's. */
export class AttemptNames {
  readonly #attempts = new Map<string, NamedAttempt>();
  /** Begins the names of a run whose pool has the tasks of others too. */
  prefix = '';

  /** The name that the pool has for an attempt. */
  give(named: NamedAttempt): string {
    const { key, attempt } = named;
    const id = `${this.prefix}${attempt === 1 ? key : `${key} (attempt ${attempt})`}`;
    this.#attempts.set(id, named);
    return id;
  }

  forget(id: string): void {
    this.#attempts.delete(id);
  }

  /** Undefined for what is no attempt of a task. */
  attemptOf(id: string): NamedAttempt | undefined {
    return this.#attempts.get(id);
  }

  /** Workspaces by key and attempt, for a pool that knows only its own names. */
  counted(source: WorkspaceSource): WorkspaceSource {
    const named = (id: string, request: WorkspaceRequest): [key: string, request: WorkspaceRequest] => {
      const { key = id, attempt, place = attempt } = this.#attempts.get(id) ?? {};
      return [key, { ...request, ...(place !== undefined && { attempt: place }) }];
    };
    return {
      acquire: (id, request) => source.acquire(...named(id, request)),
      ...(source.reopen && { reopen: (id, request) => source.reopen!(...named(id, request)) }),
    };
  }
}
