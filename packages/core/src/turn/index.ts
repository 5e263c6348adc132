export { chosenFor, type TurnChoice, type TurnChoices } from './choices.ts';
export { isFinalReason, judgeFinish, type FinishFacts, type FinishVerdict } from './finish.ts';
export {
  answersTurn,
  beginsTurn,
  finalAnswer,
  proofSignals,
  proveTurnEnd,
  type ProofSignal,
  type Signal,
  type SignalSource,
  type TurnEnd,
  type TurnEvidence,
  type TurnProof,
} from './proof.ts';
export { createMessageIds, type MessageIds } from './message-id.ts';
