/** What a command or an agent of the configuration chooses for its turns. */
export interface TurnChoice {
  /** `provider/model` */
  readonly model?: string;
  readonly agent?: string;
}

/** What commands and agents choose themselves, by their names; those that choose nothing are absent. */
export interface TurnChoices {
  readonly commands: Readonly<Record<string, TurnChoice>>;
  readonly agents: Readonly<Record<string, TurnChoice>>;
}

/** A model or an agent that a turn would use though its caller does not name it. */
export interface ChosenName {
  readonly value: string;
  /** Who chooses it, for a message: `command review`. */
  readonly by: string;
}

/**
 * What the configuration chooses for a turn. The model of a command, or else that of its agent, counts before the caller's own; the
 * model of an agent counts where nobody names another.
 *
 * @example
 * chosenFor({ commands: { review: { model: 'a/b' } }, agents: {} }, { command: 'review' }) // { model: { value: 'a/b', by: 'command review' } }
 */
export function chosenFor(
  choices: TurnChoices | undefined,
  {
    model,
    agent,
    command,
  }: { readonly model?: string | undefined; readonly agent?: string | undefined; readonly command?: string | undefined },
): { readonly model?: ChosenName; readonly agent?: ChosenName } {
  const ofCommand = ownOf(choices?.commands, command);
  const itsAgent = ofCommand.agent ?? (model === undefined ? agent : undefined);
  const ofAgent = ownOf(choices?.agents, itsAgent);
  const chosen = ofCommand.model ?? ofAgent.model;
  const by = ofCommand.model === undefined ? `agent ${itsAgent}` : `command ${command}`;
  return {
    ...(chosen !== undefined && { model: { value: chosen, by } }),
    ...(ofCommand.agent !== undefined && { agent: { value: ofCommand.agent, by: `command ${command}` } }),
  };
}

function ownOf(choices: Readonly<Record<string, TurnChoice>> | undefined, name: string | undefined): TurnChoice {
  return (name !== undefined && choices && Object.hasOwn(choices, name) && choices[name]) || {};
}
