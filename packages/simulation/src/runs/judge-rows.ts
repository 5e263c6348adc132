import type { AttemptEnded, AttemptRepairing, JournalEvent } from '@opencode-manager/runs/hosts';
import type { TurnScript } from '../plan/types.ts';
import type { RunEvidence, RunReporter } from './oracle.ts';
import { mostCorrections, unfitAnswer, type RunPlan, type RunTaskPlan } from './plan.ts';

/** Further attempts after ends that are the fault of the infrastructure; as the run has them when nobody says otherwise. */
const infrastructureTries = 3;

const ownEnds: ReadonlySet<string> = new Set(['failed', 'stalled', 'timed_out']);
const infrastructureEnds: ReadonlySet<string> = new Set(['server_lost', 'interrupted']);

/** What the durable rows say of a task since it was added last. */
interface Account {
  finals: number;
  outcome: string | undefined;
  own: number;
  infrastructure: number;
  added: number;
}

/** Reads the durable rows once: each task has one end, its tries are counted apart, and no old token counts. Gives the final outcomes. */
export function judgeRows(evidence: RunEvidence, report: RunReporter): ReadonlyMap<string, string> {
  const { disk, plan, driver } = evidence;
  const reading = new RowReading(plan, report);
  for (const [index, { sequence, event }] of disk.durable.entries()) {
    if (sequence !== index + 1) report('counts-add-up', `Row ${index + 1} has the number ${sequence}.`);
    reading.read(event);
  }
  if (driver.hang === undefined) reading.judgeEnds();
  if (driver.hang === undefined && plan.profile === 'calm' && plan.faults.length === 0) compare(plan, reading.outcomes, report);
  return reading.outcomes;
}

class RowReading {
  readonly outcomes = new Map<string, string>();
  readonly #plan: RunPlan;
  readonly #report: RunReporter;
  readonly #accounts = new Map<string, Account>();
  /** By token: which manager has meant to send it. */
  readonly #intents = new Map<string, number>();
  readonly #ended = new Set<string>();
  /** By token. */
  readonly #corrections = new Map<string, number>();
  readonly #superseded = new Set<string>();
  #generation = 0;

  constructor(plan: RunPlan, report: RunReporter) {
    this.#plan = plan;
    this.#report = report;
  }

  read(event: JournalEvent): void {
    if (event.type === 'run.opened') {
      if (event.generation !== this.#generation + 1)
        this.#report('one-end-each', `Manager ${event.generation} follows ${this.#generation}.`);
      this.#generation = event.generation;
    } else if (event.type === 'task.added') {
      const added = (this.#accounts.get(event.key)?.added ?? 0) + 1;
      this.#accounts.set(event.key, { finals: 0, outcome: undefined, own: 0, infrastructure: 0, added });
    } else if (event.type === 'attempt.intended') {
      if (this.#intents.has(event.token))
        this.#report('old-tokens-count-for-nothing', `${event.key}: two attempts have the token ${event.token}.`);
      this.#intents.set(event.token, this.#generation);
      if ((this.#accountOf(event.key)?.finals ?? 0) > 0)
        this.#report('ended-is-ended', `${event.key} has its end, and is to be sent again.`);
    } else if (event.type === 'attempt.repairing') this.#correct(event);
    else if (event.type === 'attempt.superseded') this.#superseded.add(event.token);
    else if (event.type === 'attempt.ended') this.#end(event);
    else if (event.type === 'task.skipped') this.#settle(event.key, 'skipped');
  }

  /** Corrections are counted from 1, within the attempt that has the token, by the manager that began it. */
  #correct({ key, token, repair }: AttemptRepairing): void {
    const before = this.#corrections.get(token) ?? 0;
    this.#corrections.set(token, repair);
    if (repair !== before + 1 || repair > mostCorrections)
      this.#report('tries-are-apart', `${key}: correction ${repair} of ${token} follows ${before}.`);
    if (this.#intents.get(token) !== this.#generation || this.#ended.has(token))
      this.#report('ended-is-ended', `${key}: an attempt that is over (${token}) is corrected.`);
  }

  judgeEnds(): void {
    for (const { key } of this.#plan.tasks) {
      const finals = this.#accountOf(key)?.finals ?? 0;
      if (finals !== 1) this.#report('one-end-each', `${key} has ${finals} final outcomes.`);
    }
  }

  #accountOf(key: string): Account | undefined {
    const account = this.#accounts.get(key);
    if (!account) this.#report('one-end-each', `${key} was never added.`);
    return account;
  }

  #settle(key: string, outcome: string): void {
    const account = this.#accountOf(key);
    if (!account) return;
    account.finals += 1;
    account.outcome = outcome;
    this.outcomes.set(key, outcome);
  }

  #end(event: AttemptEnded): void {
    const { key, token, outcome, final } = event;
    const account = this.#accountOf(key);
    if (!account) return;
    if (this.#superseded.has(token)) this.#report('old-tokens-count-for-nothing', `${key}: the token ${token} was superseded, and ends.`);
    if (this.#ended.has(token)) this.#report('old-tokens-count-for-nothing', `${key}: the token ${token} ends twice.`);
    this.#ended.add(token);
    const { final: wanted, counts } = this.#verdictOf(event, account);
    const so = `${key} ends as ${outcome} (${event.counts}), its own ends: ${account.own}, of the infrastructure: ${account.infrastructure}`;
    if (wanted !== final) this.#report('tries-are-apart', `${so}, and that is ${final ? '' : 'not '}final.`);
    if (counts !== event.counts) this.#report('tries-are-apart', `${so}, and it is to count: ${counts}.`);
    if (final) this.#settle(key, outcome);
  }

  /** What an end is to mean, by what ended before. */
  #verdictOf(event: AttemptEnded, account: Account): Pick<AttemptEnded, 'final' | 'counts'> {
    const { key, token, outcome, abortedBy, error, result } = event;
    const sentBy = this.#intents.get(token);
    const hasBrokenOff = sentBy !== undefined && sentBy !== this.#generation && infrastructureEnds.has(outcome);
    // An end of its manager counts in neither.
    if (abortedBy === 'manager' || hasBrokenOff) return { final: false, counts: 'none' };
    if (event.gone) return { final: false, counts: 'none' };
    if (error?.code === 'POISON_TASK') return { final: true, counts: 'infrastructure' };
    if (ownEnds.has(outcome)) return { final: (account.own += 1) > this.#taskOf(key).retries, counts: 'task' };
    if (infrastructureEnds.has(outcome)) return { final: (account.infrastructure += 1) > infrastructureTries, counts: 'infrastructure' };
    // Where a task has a deadline of its own here, it is shorter than any wait for a quota.
    if (outcome === 'quota_exhausted' && result.reset_at !== undefined && this.#taskOf(key).timeoutMs === undefined)
      return { final: false, counts: 'none' };
    return { final: true, counts: abortedBy === 'user' ? 'none' : 'task' };
  }

  #taskOf(key: string): RunTaskPlan {
    return this.#plan.tasks.find((task) => task.key === key)!;
  }
}

/** On a calm link the scripts alone say what becomes of each task, however often its manager was killed. */
function compare(plan: RunPlan, outcomes: ReadonlyMap<string, string>, report: RunReporter): void {
  const wanted = new Map<string, string>();
  for (const task of plan.tasks) {
    const isBlocked = task.after.some((key) => wanted.get(key) !== 'succeeded');
    wanted.set(task.key, isBlocked ? 'skipped' : endOf(plan, task));
  }
  for (const [key, outcome] of wanted)
    if (outcomes.get(key) !== outcome) report('as-without-kills', `${key} is ${outcomes.get(key) ?? 'nothing'} in place of ${outcome}.`);
}

function endOf(plan: RunPlan, { scripts, retries, timeoutMs, hasSchema }: RunTaskPlan): string {
  if (hasSchema) return scripts.every((script) => isUnfit(plan.scripts[script]!)) ? 'failed' : 'succeeded';
  let outcome = '';
  let turns = 0;
  for (let attempt = 0; attempt <= retries; attempt += 1) {
    outcome = outcomeOf(plan.scripts[scripts[Math.min(turns, scripts.length - 1)]!]!, timeoutMs);
    if (outcome === 'succeeded' || outcome === 'quota_exhausted') return outcome;
    if (outcome === 'failed') turns += 1;
  }
  return outcome;
}

function isUnfit({ steps }: TurnScript): boolean {
  return steps.some(({ text }) => text.includes(unfitAnswer));
}

function outcomeOf({ beginMs, steps }: TurnScript, timeoutMs = Infinity): string {
  const tookMs = steps.reduce((sum, { thinkMs, tools = [] }) => sum + thinkMs + tools.reduce((all, { forMs }) => all + forMs, 0), beginMs);
  if (steps.some(({ hangs }) => hangs) || tookMs > timeoutMs) return 'timed_out';
  const error = steps.find((step) => step.error)?.error;
  if (error?.statusCode === 429) return 'quota_exhausted';
  return error ? 'failed' : 'succeeded';
}
