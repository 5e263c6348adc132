import type { RecordedCall } from '@opencode-manager/testing';
import type { Turn } from './row.ts';

/** What one opencode made of a row: the answers of its routes, and what reached the model. Or that it refused. */
export type Reading = Refusal | Answers;

export interface Refusal {
  readonly refused: string;
}

export interface Answers {
  readonly config: Json;
  /** By name. */
  readonly agents: Json;
  readonly commands: Json;
  readonly mcp: Json;
  readonly providers: Json;
  readonly skills: Json;
  readonly turns: readonly Json[];
}

export type Json = Readonly<Record<string, unknown>>;

type Get = (path: string) => Promise<unknown>;

/** Reads the routes that show what a configuration means. */
export async function readRoutes(get: Get): Promise<Omit<Answers, 'turns'>> {
  // The first makes the instance.
  const config = (await get('/config')) as Json;
  const others = await Promise.all(['/agent', '/command', '/skill', '/mcp', '/config/providers'].map(get));
  const [agents, commands, skills] = others.slice(0, 3).map(byName) as [Json, Json, Json];
  const mcp = others[3] as Json;
  const { providers } = others[4] as { providers: Json[] };
  return {
    config,
    agents,
    commands,
    mcp,
    providers: Object.fromEntries(providers.map((one) => [one['id'] as string, withoutCatalogue(one)])),
    skills,
  };
}

/** What of a turn's first call to the model depends on the configuration. */
export function callOf(turn: Turn, { model, system, tools, messages }: RecordedCall): Json {
  const users = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
  return { ...turn, model, ...partsOfSystem(system), tools: [...tools].toSorted(), users };
}

/** The system prompt in its parts: opencode's own, the lists of references and skills, and each file of instructions, by heading. */
function partsOfSystem(system: string): Json {
  const lists: string[] = [];
  const texts = system.replaceAll(
    /^(?:Project references provide|Skills provide)[\s\S]*?<\/available_(?:references|skills)>$/gm,
    (list) => {
      lists.push(list);
      return '';
    },
  );
  const [own = '', ...instructions] = texts.split(/^(?=Instructions from: )/m).map((text) => text.trim());
  return { own, lists, instructions };
}

function byName(list: unknown): Json {
  return Object.fromEntries((list as { name: string }[]).map((entry) => [entry.name, entry]));
}

/** The models of a provider that opencode itself knows are many, and no configuration is in them. */
function withoutCatalogue(provider: Json): Json {
  const models = Object.entries(provider['models'] as Record<string, unknown>);
  return models.length <= 6
    ? provider
    : {
        ...provider,
        models: models
          .map(([id]) => id)
          .toSorted()
          .slice(0, 6),
      };
}

/** Takes what differs from run to run and from machine to machine out of a reading. */
export function normalised<Value>(value: Value, replacements: readonly (readonly [string, string])[]): Value {
  const ordered = replacements.filter(([from]) => from !== '').toSorted(([a], [b]) => b.length - a.length);
  const clean = (text: string) => {
    let result = text;
    for (const [from, to] of ordered) result = result.replaceAll(from, to);
    // The plan agent may write its plans, whose place is told relative to the repository.
    const placed = result.replaceAll(/(?:\.\.\/)+\S*?\/opencode\/plans\/\*\.md/g, '<DATA>/plans/*.md');
    return placed.replaceAll(/Today's date: .*/g, "Today's date: <DATE>");
  };
  const walk = (item: unknown): unknown => {
    if (typeof item === 'string') return clean(item);
    if (Array.isArray(item)) return item.map(walk);
    if (typeof item !== 'object' || item === null) return item;
    return Object.fromEntries(Object.entries(item).map(([key, inner]) => [clean(key), walk(inner)]));
  };
  return walk(value) as Value;
}
