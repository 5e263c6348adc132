import type { LinkPlan, Plan, StepScript, TurnScript } from './types.ts';

/** What a turn may say in a simulated world, in bytes: a hundred times what plain turns say. */
export const mostAnswerBytes = 4000;

/** A link on which nothing goes wrong. */
export const calmLink: LinkPlan = {
  delayMs: [2, 6],
  slow: 0,
  slowMs: 2000,
  lostRequest: 0,
  lostAnswer: 0,
  brokenAnswer: 0,
  refusal: 0,
  doubled: 0,
};

/** A step that says something and stops. */
export const answer = (text = 'done', more: Partial<StepScript> = {}): StepScript => ({
  thinkMs: 50,
  text: [text],
  finish: 'stop',
  ...more,
});

/** A turn of one good step. */
export const plainTurn = (more: Partial<TurnScript> = {}): TurnScript => ({ beginMs: 20, steps: [answer()], ...more });

/** A plan in which nothing happens; a start for plans by hand. */
export const emptyPlan: Plan = {
  version: 1,
  seed: 1,
  profile: 'by hand',
  protocol: 'v1',
  pool: { maxSessions: 2, permissions: 'allow' },
  link: calmLink,
  scripts: [plainTurn()],
  actions: [],
  faults: [],
};
