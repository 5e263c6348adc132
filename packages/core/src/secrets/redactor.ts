import { OpencodeManagerError } from '../errors/index.ts';
import { createPattern, marker, type Pattern } from './pattern.ts';

/** Fields of our records that hold a word of ours; a short secret must not change what a record is. */
const ownWords: ReadonlySet<string> = new Set(['type', 'code', 'outcome']);

/** Values that stand for "no key": hosts without authentication want one that is not empty. */
const placeholders: ReadonlySet<string> = new Set(
  'none null undefined true false empty dummy fake test local localhost unused not-needed no-key apikey api-key key-here'.split(' '),
);

/** Shortest value that is looked for, in characters. */
const shortest = 4;

/**
 * Knows secrets by their values and takes them out of what leaves the process: texts, plain JSON, errors. It finds a value as it
 * is, escaped in JSON, encoded for a URL, and in base64 (a Basic header). A server's redactor is in its handle; hand one over in the
 * options to use it beyond one server. It cannot know a secret that was not configured or passed, nor find one in pieces.
 *
 * @example
 * const redactor = new Redactor()
 * await using server = await launchServer({ opencodeConfig, redactor })
 * console.log(redactor.text(answer.text))
 * @public
 */
export class Redactor {
  readonly #values = new Set<string>();
  #pattern: Pattern | undefined;
  #stale = false;
  #replaced = 0;

  /** How many pieces were replaced so far. */
  get replaced(): number {
    return this.#replaced;
  }

  /** Remembers a value. Values below 4 characters and words such as `none` or `dummy` are no secrets. */
  learn(value: string): void {
    if (value.length < shortest || marker.includes(value) || placeholders.has(value.toLowerCase()) || this.#values.has(value)) return;
    this.#values.add(value);
    this.#stale = true;
  }

  /** The text with `[redacted]` in place of each secret. */
  text(text: string): string {
    if (this.#stale) {
      this.#pattern = createPattern(this.#values);
      this.#stale = false;
    }
    return this.#pattern?.replaceIn(text, () => void (this.#replaced += 1)) ?? text;
  }

  /** Plain JSON with the secrets taken out of its texts and keys, at any depth; the same object when it holds none. */
  json<Value>(value: Value): Value {
    return this.#values.size === 0 ? value : (this.#walk(value, undefined, []) as Value);
  }

  /** As {@link Redactor.json}, with the number of pieces that were replaced. */
  counted<Value>(value: Value): { readonly value: Value; readonly redacted: number } {
    const before = this.#replaced;
    const redactedValue = this.json(value);
    return { value: redactedValue, redacted: this.#replaced - before };
  }

  /** An error without secrets in its message, stack, details, output and causes; the same error when it holds none. */
  error<Thrown>(thrown: Thrown): Thrown {
    return (thrown instanceof Error && this.#values.size > 0 ? this.#error(thrown, new Set()) : thrown) as Thrown;
  }

  #error(error: Error, above: ReadonlySet<unknown>): Error {
    if (above.has(error)) return error;
    const { message, stack, cause } = error;
    const clean = {
      message: this.text(message),
      stack: stack === undefined ? undefined : this.text(stack),
      cause: cause instanceof Error ? this.#error(cause, new Set([...above, error])) : this.json(cause),
    };
    const own = error instanceof OpencodeManagerError ? { details: error.details, output: error.output } : undefined;
    const cleanOwn = own && { details: this.json(own.details), output: own.output === undefined ? undefined : this.text(own.output) };
    const same = clean.message === message && clean.stack === stack && clean.cause === cause;
    if (same && own?.details === cleanOwn?.details && own?.output === cleanOwn?.output) return error;
    return copyOf(error, clean, cleanOwn);
  }

  /** `above` holds the objects that the value stands in: one that holds itself is left as it is there. */
  #walk(value: unknown, key: string | undefined, above: object[]): unknown {
    if (typeof value === 'string') return key !== undefined && isOwnWord(key, value) ? value : this.text(value);
    // Dates and the like write themselves.
    if (typeof value !== 'object' || value === null || above.includes(value) || !isPlain(value)) return value;
    above.push(value);
    const clean = Array.isArray(value) ? this.#array(value, above) : this.#object(value, above);
    above.pop();
    return clean;
  }

  #array(items: readonly unknown[], above: object[]): readonly unknown[] {
    const clean = items.map((item) => this.#walk(item, undefined, above));
    return clean.every((item, index) => item === items[index]) ? items : clean;
  }

  #object(value: object, above: object[]): object {
    const entries = Object.entries(value);
    const clean = entries.map(([name, item]) => [this.text(name), this.#walk(item, name, above)] as const);
    const same = clean.every(([name, item], index) => name === entries[index]![0] && item === entries[index]![1]);
    return same ? value : Object.fromEntries(clean);
  }
}

interface CleanError {
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: unknown;
}

function copyOf(error: Error, { message, stack, cause }: CleanError, own?: Pick<OpencodeManagerError, 'details' | 'output'>): Error {
  const copy =
    error instanceof OpencodeManagerError
      ? new OpencodeManagerError(error.code, message, {
          details: own?.details ?? {},
          ...(own?.output !== undefined && { output: own.output }),
          ...(cause !== undefined && { cause }),
        })
      : Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { name: error.name });
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined && !('code' in copy)) Object.assign(copy, { code });
  Object.defineProperty(copy, 'stack', { value: stack, configurable: true, writable: true });
  return copy;
}

function isOwnWord(key: string, value: string): boolean {
  return ownWords.has(key) && /^[A-Za-z_.]{1,40}$/.test(value);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Array.isArray(value);
}
