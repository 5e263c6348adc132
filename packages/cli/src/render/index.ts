export { formatBytes, formatCost, formatCount, formatDuration, plural, tokensOf } from './format.ts';
export { oneLine, printable } from './printable.ts';
export { createProgress } from './create-progress.ts';
export type { Progress } from './progress.ts';
export { renderTable } from './table.ts';
