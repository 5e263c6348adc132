import type { CommandUnknownOpts } from '@commander-js/extra-typings';

/** A group of commands, or what stands in its place. */
interface Block {
  readonly title: string;
  readonly lines: readonly string[];
}

/** Columns of the left half, and of the whole. */
const half = 40;
const whole = 80;

/** Room for the name of a command. */
const nameWidth = 10;

/** The help of the program: one screen of 24 lines, with the groups of commands side by side; below each other where there is no room. */
export function rootHelp(program: CommandUnknownOpts, width: number): string {
  const blocks = [...groupsOf(program), { title: 'Begin:', lines: firstSteps.map((line) => `  ${line}`) }];
  const body = width < whole ? blocks.flatMap((block, index) => [...(index === 0 ? [] : ['']), ...linesOf(block)]) : sideBySide(blocks);
  return [`Usage: ocm COMMAND [options]    ${program.description()}`, '', ...body, ...footer, ''].join('\n');
}

function groupsOf(program: CommandUnknownOpts): Block[] {
  const groups = new Map<string, string[]>();
  for (const command of program.createHelp().visibleCommands(program)) {
    const title = command.helpGroup();
    // `ocm help COMMAND` has no group.
    if (title === '') continue;
    groups.set(title, [...(groups.get(title) ?? []), `  ${command.name().padEnd(nameWidth)}  ${command.summary()}`]);
  }
  return [...groups].map(([title, lines]) => ({ title, lines }));
}

/** Two groups and beside them one, then the rest in pairs. */
function sideBySide([first, second, third, ...rest]: readonly Block[]): string[] {
  const left = [first, second].flatMap((block) => (block ? linesOf(block) : []));
  const bands = [[left, third ? linesOf(third) : []] as const];
  for (let at = 0; at < rest.length; at += 2) bands.push([linesOf(rest[at]!), rest[at + 1] ? linesOf(rest[at + 1]!) : []]);
  return bands.flatMap(([one, other], index) => beside(index === 0 ? one : ['', ...one], index === 0 ? other : ['', ...other]));
}

function beside(left: readonly string[], right: readonly string[]): string[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, at) =>
    `${(left[at] ?? '').padEnd(half)}${right[at] ?? ''}`.trimEnd(),
  );
}

function linesOf({ title, lines }: Block): string[] {
  return [title, ...lines];
}

const firstSteps = [
  'ocm demo',
  'ocm run FILE -m PROVIDER/MODEL -c 8',
  'ocm status; ocm results --failed',
  'ocm serve; ocm prompt new "Hello"',
  'ocm COMMAND --help; ocm --version',
];

const footer = [
  'Exit codes: 0 succeeded, 1 not all did, 2 usage, 3 limit of the run, 4 no model,',
  '5 no server, 6 no room, 124 wait timed out, 130 SIGINT, 143 SIGTERM.',
];
