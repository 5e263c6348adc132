import type { Usage } from '@opencode-manager/actors';

/** `740 ms`, `1.2 s`, `3 m 05 s`, `2 h 07 m` */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, '0')} m`;
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`;
}

/** `1,234`, of a whole number. */
export function formatCount(value: number): string {
  // Not by the locale: to load its data takes 20 ms.
  return String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `$12.34`, `$0.0042` */
export function formatCost(usd: number): string {
  return `$${usd.toFixed(usd < 1 ? 4 : 2)}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** `1 task`, `2 tasks` */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : nouns}`;
}

/** Tokens that went to and came from the model, caches left out. */
export function tokensOf(usage: Usage): number {
  return usage.input_tokens + usage.output_tokens + usage.reasoning_tokens;
}
