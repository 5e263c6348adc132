import { execFileSync } from 'node:child_process';
import { nameOffered } from './model/tool-names.ts';

/** What a test may have to know of the opencode that it runs against. */
export interface OpencodeUnderTest {
  readonly major: 1 | 2;
  /** For tests of what opencode 1 alone has: `test.skipIf(isV2)('... (opencode 1 only: why)')`. */
  readonly isV2: boolean;
  /** What this opencode does, of what each of the two does. */
  readonly by: <Value>(each: { readonly v1: Value; readonly v2: Value }) => Value;
  /** The name under which this opencode offers a tool of opencode 1: `bash` is `shell` in opencode 2. */
  readonly tool: (name: string) => string;
}

let known: OpencodeUnderTest | undefined;

/**
 * Tells which opencode the tests run against: that of `OPENCODE_BIN`, asked once for its version; without the variable opencode 1, which the lockfile pins.
 *
 * @throws Error when the binary cannot be run, or is of neither
 */
export function opencodeUnderTest(): OpencodeUnderTest {
  known ??= describe(majorOf(process.env['OPENCODE_BIN']));
  return known;
}

function majorOf(binary: string | undefined): 1 | 2 {
  if (binary === undefined || binary === '') return 1;
  const said = execFileSync(binary, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const major = Number(/(\d+)\.\d+\.\d+/.exec(said)?.[1]);
  if (major === 1 || major === 2) return major;
  throw new Error(`OPENCODE_BIN (${binary}) says that its version is "${said.trim()}". Tests run against opencode 1 and 2.`);
}

function describe(major: 1 | 2): OpencodeUnderTest {
  const isV2 = major === 2;
  return { major, isV2, by: ({ v1, v2 }) => (isV2 ? v2 : v1), tool: (name) => (isV2 ? nameOffered(name) : name) };
}
