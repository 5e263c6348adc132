export { agentFileAt, templateAt } from './places.ts';
export { configFileNames, readGivenConfig, readOpencodeConfig } from './read-given.ts';
