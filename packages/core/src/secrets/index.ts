export { withCleanErrors } from './contain.ts';
export { learnAuth, learnConfig, learnLogin, learnSubstitutions, learnVariables } from './learn.ts';
export { Redactor } from './redactor.ts';
