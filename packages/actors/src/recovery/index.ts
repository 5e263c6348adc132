export { classifyTurn, hasUnfinishedTools, type TurnFate } from './classify-turn.ts';
export { ServerKeeper } from './server-keeper.ts';
