import type { Json } from '../trace/format.ts';

/** `+12.345 s` since the start of the run. */
export function formatMoment(atMs: number, startMs: number): string {
  return `+${((atMs - startMs) / 1000).toFixed(3)} s`;
}

/** `850 ms`, `12.4 s`, `3 min 20 s` */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 100_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** `12 s`, `3 min 05 s`, `2 h 14 min`: as much as is read while it counts. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  const padded = (value: number) => String(value).padStart(2, '0');
  return hours === 0 ? `${minutes} min ${padded(seconds % 60)} s` : `${hours} h ${padded(minutes % 60)} min`;
}

/** How long something took: below a minute more exactly than while it counts. */
export function formatTook(ms: number): string {
  return ms < 60_000 ? formatDuration(ms) : formatAge(ms);
}

/** `12,345` */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US');
}

/** `$0.042`, `$12.30`; `no price` when it is not known. */
export function formatCost(usd: number | null): string {
  return usd === null ? 'no price' : `$${usd.toFixed(usd < 1 ? 3 : 2)}`;
}

/** `840 MB`, `2.1 GB` */
export function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** One line for a value, cut at a length. */
export function inline(value: Json | undefined, length = 120): string {
  if (value === undefined) return 'none';
  const text = JSON.stringify(value) ?? '';
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** The last part of a path: `active.running` is `running`. */
export function leaf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/** `xstate.after.settleDelay.session.active.settling` reads `after settleDelay`. */
export function eventName(type: string): string {
  const timer = /^xstate\.after\.([^.]+)\./.exec(type);
  if (timer) return `after ${timer[1]}`;
  return type === 'xstate.init' ? 'start' : type;
}

/** Class of a state's colour. */
export function tone(path: string): string {
  return `tone-${leaf(path).replace(/[^A-Za-z]/g, '')}`;
}

/** Saves a text as a file of the browser's downloads. */
export function download(name: string, text: string, type: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Ids of the server are long and begin alike; their end tells them apart. */
export function shortId(id: string): string {
  return id.length > 12 ? `…${id.slice(-8)}` : id;
}
