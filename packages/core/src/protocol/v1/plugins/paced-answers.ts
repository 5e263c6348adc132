import { pacingCode } from '../../pacing-code.ts';

/** A plugin of our own: a provider that answers faster than opencode works it off leaves the server responsive. */
export const pacedAnswersPlugin = `${pacingCode}
export const PacedAnswers = async () => {
  paceAnswers()
  return {}
}
`;
