import type { Terminal } from '../terminal/index.ts';
import { LineProgress } from './line-progress.ts';
import { LiveProgress } from './live-progress.ts';
import type { Progress, ProgressOptions } from './progress.ts';

export function createProgress(terminal: Terminal, options: ProgressOptions): Progress {
  return terminal.interactive ? new LiveProgress(terminal, options) : new LineProgress(terminal, options);
}
