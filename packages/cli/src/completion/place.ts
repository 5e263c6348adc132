import type { Argument, CommandUnknownOpts, Option } from '@commander-js/extra-typings';

/** Where on a command line the word stands that is being typed. */
export interface Place {
  readonly command: CommandUnknownOpts;
  /** Words before it that are arguments of the command. */
  readonly positionals: readonly string[];
  /** It stands behind `--`, and is no option. */
  readonly isOnlyArguments: boolean;
  /** The option whose value it is. */
  readonly option: Option | undefined;
  /** The argument that it is; undefined when the command takes no more. */
  readonly argument: Argument | undefined;
}

/** Reads the words before the one that is typed as the command line would. */
export function placeOf(program: CommandUnknownOpts, words: readonly string[]): Place {
  let command = program;
  const positionals: string[] = [];
  let option: Option | undefined;
  let isOnlyArguments = false;
  for (const word of words) {
    const below =
      positionals.length === 0 ? command.commands.find((each) => each.name() === word || each.aliases().includes(word)) : undefined;
    // bash makes three words of --name=value.
    if (option && word === '=') continue;
    if (option) option = undefined;
    else if (isOnlyArguments) positionals.push(word);
    else if (word === '--') isOnlyArguments = true;
    else if (word.startsWith('-')) option = openOption(command, word);
    else if (below) command = below;
    else positionals.push(word);
  }
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[positionals.length] ?? (last?.variadic ? last : undefined);
  return { command, positionals, isOnlyArguments, option, argument };
}

/** The option of a word, when the next word is its value. */
function openOption(command: CommandUnknownOpts, word: string): Option | undefined {
  const found = command.options.find(({ long, short }) => long === word || short === word);
  return found?.required ? found : undefined;
}
