import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { placeOf, type Place } from './place.ts';
import { runIds, taskKeys, type Candidate } from './values.ts';

/** What the scripts of shells do besides: nothing, or complete names of files or of directories. */
const directives = { files: 0, nothing: 4, directories: 16 } as const;

interface Completed {
  readonly candidates: readonly Candidate[];
  readonly directive: (typeof directives)[keyof typeof directives];
}

/** What may stand in place of the last word, which may be empty. */
export async function complete(program: CommandUnknownOpts, words: readonly string[]): Promise<Completed> {
  const typed = words.at(-1) ?? '';
  const place = placeOf(program, words.slice(0, -1));
  const { candidates, directive } = await offered(place, typed);
  return { candidates: candidates.filter(({ value }) => value.startsWith(typed)), directive };
}

async function offered(place: Place, typed: string): Promise<Completed> {
  const { command, option, positionals, isOnlyArguments, argument } = place;
  const help = command.createHelp();
  if (option) return valuesOf(option);
  if (typed.startsWith('-') && !isOnlyArguments) {
    const names = help.visibleOptions(command).map(({ long, short, description }) => ({ value: long ?? short ?? '', description }));
    return nothingElse(names);
  }
  const commands = positionals.length > 0 ? [] : help.visibleCommands(command);
  if (commands.length > 0) return nothingElse(commands.map((each) => ({ value: each.name(), description: each.summary() })));
  switch (argument?.name()) {
    case 'file':
    case 'trace':
      return { candidates: [], directive: directives.files };
    case 'run':
      return nothingElse([...(await runIds()), ...(isAlsoKey(place) ? await taskKeys(undefined) : [])]);
    case 'key':
      return nothingElse(await taskKeys(positionals[0]));
    default:
      return nothingElse((argument?.argChoices ?? []).map((value) => ({ value, description: '' })));
  }
}

/** One word of `ocm show [run] <key>` is the key. */
function isAlsoKey({ command }: Place): boolean {
  return command.registeredArguments.some((argument) => argument.name() === 'key');
}

async function valuesOf({ flags, argChoices = [] }: Option): Promise<Completed> {
  const [, wanted] = /<([^>]+?)(?:\.\.\.)?>/.exec(flags) ?? [];
  if (argChoices.length > 0) return nothingElse(argChoices.map((value) => ({ value, description: '' })));
  if (wanted === 'file' || wanted === 'path') return { candidates: [], directive: directives.files };
  if (wanted === 'dir') return { candidates: [], directive: directives.directories };
  if (wanted === 'run') return nothingElse(await runIds());
  return nothingElse(wanted === 'key' ? await taskKeys(undefined) : []);
}

function nothingElse(candidates: readonly Candidate[]): Completed {
  return { candidates, directive: directives.nothing };
}
