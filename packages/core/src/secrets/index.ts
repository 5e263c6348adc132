export { learnAuth, learnConfig, learnLogin, learnVariables } from './learn.ts';
export { Redactor } from './redactor.ts';
export { withCleanErrors } from './contain.ts';
