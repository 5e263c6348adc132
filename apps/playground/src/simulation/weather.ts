import type { StepScript, ToolScript, TurnScript } from '@opencode-manager/simulation';

/** What may be wrong, or slow, or curious. Each holds for turns that begin while it is set. */
export interface Weather {
  /** The provider answers 429; opencode waits and asks again. */
  rateLimited: boolean;
  /** With a rate limit: the provider asks for a wait of a day. */
  quotaSpent: boolean;
  /** Every answer takes six times as long. */
  slow: boolean;
  /** Each turn asks for a permission before it goes on. */
  asks: boolean;
  /** No event says that a session is idle; its reads do. */
  neverIdle: boolean;
  /** No abort ends a tool that runs. */
  deafToAborts: boolean;
  /** Each turn hands a part of its work to a sub-agent. */
  subAgents: boolean;
}

export const calm: Weather = {
  rateLimited: false,
  quotaSpent: false,
  slow: false,
  asks: false,
  neverIdle: false,
  deafToAborts: false,
  subAgents: false,
};

const commands = ['npm test', 'git push origin main', 'curl https://example.com', 'rm -rf build'];

/** The turn that the model takes for the next prompt; `number` makes each a little different, so that crowds do not march in step. */
export function turnIn(weather: Weather, number: number): TurnScript {
  const pace = (1 + 0.07 * (((number * 7) % 11) - 5)) * (weather.slow ? 6 : 1);
  const work = Array.from({ length: 1 + (number % 3) }, (_, index) => useTool(pace, [bash(weather, pace, number + index)]));
  const steps = [...refusedIn(weather, pace), ...surprisesIn(weather, pace, number), ...work, conclude(pace)];
  return { beginMs: 15, steps, ...(weather.neverIdle && { idle: 'never' as const }) };
}

function useTool(pace: number, tools: readonly ToolScript[], more: Partial<StepScript> = {}): StepScript {
  return { thinkMs: 180 * pace, text: [], tools, finish: 'tool-calls', ...more };
}

function conclude(pace: number): StepScript {
  return { thinkMs: 260 * pace, text: ['All ', 'is ', 'done.'], finish: 'stop' };
}

function bash({ deafToAborts }: Weather, pace: number, number: number): ToolScript {
  const input = commands[number % commands.length]!;
  return { tool: 'bash', input, output: `printed by ${input}`, forMs: 140 * pace, ...(deafToAborts && { ignoresAbort: 'never' as const }) };
}

/** One wait of two seconds is sat out; a spent quota asks for a day then. */
function refusedIn({ rateLimited, quotaSpent }: Weather, pace: number): StepScript[] {
  if (!rateLimited) return [];
  const message = quotaSpent ? 'You exceeded your current quota (429)' : 'Too Many Requests (429)';
  const refused = (afterMs: number) => ({ refusal: { statusCode: 429, message, times: 1, afterMs } });
  const look = { tool: 'read', input: 'README.md', output: 'read', forMs: 20 * pace };
  const first = useTool(pace, [look], refused(2000));
  return quotaSpent ? [first, useTool(pace, [look], refused(86_400_000))] : [first];
}

function surprisesIn(weather: Weather, pace: number, number: number): StepScript[] {
  if (weather.asks) {
    const tool = bash(weather, pace, number);
    return [useTool(pace, [{ ...tool, ask: { kind: 'permission', permission: 'bash', pattern: tool.input } }])];
  }
  if (!weather.subAgents) return [];
  const child = { beginMs: 10, steps: [{ thinkMs: 1400 * pace, text: ['Found it.'], finish: 'stop' }] };
  return [useTool(pace, [{ tool: 'task', input: 'look around', output: '', forMs: 0, child }])];
}
