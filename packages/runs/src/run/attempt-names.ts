import type { WorkspaceSource } from '@opencode-manager/actors';

interface NamedAttempt {
  readonly key: string;
  readonly attempt: number;
  readonly token: string;
}

/** Attempts of one task are tasks of their own to the pool: which name is which attempt's. */
export class AttemptNames {
  readonly #attempts = new Map<string, NamedAttempt>();
  /** Begins the names of a run whose pool has the tasks of others too. */
  prefix = '';

  /** The name that the pool has for an attempt. */
  give({ key, attempt, token }: NamedAttempt): string {
    const id = `${this.prefix}${attempt === 1 ? key : `${key} (attempt ${attempt})`}`;
    this.#attempts.set(id, { key, attempt, token });
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
    return {
      acquire: (id, request) => {
        const { key = id, attempt } = this.#attempts.get(id) ?? {};
        return source.acquire(key, { ...request, ...(attempt !== undefined && { attempt }) });
      },
    };
  }
}
