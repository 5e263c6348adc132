export { isMap, mergePlaces } from './merge.ts';
export { agentFileAt, templateAt } from './places.ts';
export {
  configFileNames,
  readGivenConfig,
  readOpencodeConfig,
  type GivenConfig,
  type GivenOptions,
  type UnsetVariable,
} from './read-given.ts';
export { type Substitution } from './substitute.ts';
