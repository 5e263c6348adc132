import type { TaskResult } from '@opencode-manager/actors';
import type { Redactor } from '@opencode-manager/core';
import type { Redact } from '../redact.ts';

/** Takes secrets out as soon as they are known: before that, nothing of the run holds any but what the user has written. */
export class Redaction {
  #redactor: Redactor | undefined;
  readonly apply: Redact = (value) => this.#redactor?.json(value) ?? value;

  use(redactor: Redactor): void {
    this.#redactor = redactor;
  }

  /** A result without secrets; `redacted` counts them, and is absent when there was none. */
  result(result: TaskResult): TaskResult {
    if (!this.#redactor) return result;
    const { value, redacted } = this.#redactor.counted(result);
    return redacted === 0 ? value : { ...value, redacted: redacted + (result.redacted ?? 0) };
  }
}
