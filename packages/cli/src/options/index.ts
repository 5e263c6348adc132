export { mostTokens, parseAmount, readPrices, refuseUnpriced, runLimits, taskLimits } from './limits.ts';
export { refuseUnknownNames, withModels } from './models.ts';
export { parseCount } from './numbers.ts';
export { buildServerConfig } from './server-config.ts';
export { turnSettings, type TurnSettings } from './turn-options.ts';
