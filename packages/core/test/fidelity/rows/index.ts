import type { Row } from '../row.ts';
import { agentRows } from './agents.ts';
import { encodingRows } from './encodings.ts';
import { instructionRows } from './instructions.ts';
import { providerRows } from './providers.ts';
import { toolRows } from './tools.ts';
import { variableRows } from './variables.ts';

/** Every configuration that is compared; the names are unique. */
export const rows: readonly Row[] = [...variableRows, ...encodingRows, ...instructionRows, ...agentRows, ...providerRows, ...toolRows];
