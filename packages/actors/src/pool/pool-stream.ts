import { OpencodeManagerError } from '@opencode-manager/core/errors';
import type { EventFilter, EventMonitor, MonitorEvent } from '@opencode-manager/events';
import { MergedStream } from './merged-stream.ts';
import type { PoolEventStream } from './types.ts';

/** The events of all generations of a pool's server as one stream. */
export class PoolStream implements PoolEventStream {
  readonly #monitors: () => readonly EventMonitor[];
  /** Called with each further monitor. */
  readonly #followers = new Set<(monitor: EventMonitor) => void>();
  readonly #open = new Set<MergedStream>();
  #ended = false;

  constructor(monitors: () => readonly EventMonitor[]) {
    this.#monitors = monitors;
  }

  on(filter: EventFilter, listener: (event: MonitorEvent) => void): () => void {
    let stops: { readonly monitor: EventMonitor; readonly stop: () => void }[] = [];
    const leave = this.#follow((monitor) => {
      stops = stops.filter((one) => one.monitor.state !== 'closed');
      stops.push({ monitor, stop: monitor.on(filter, listener) });
    });
    return () => {
      leave();
      for (const { stop } of stops) stop();
    };
  }

  streamEvents(filter: EventFilter = {}, options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<MonitorEvent, undefined> {
    const merged = new MergedStream(options.signal, () => {
      leave();
      this.#open.delete(merged);
    });
    this.#open.add(merged);
    const leave = this.#follow((monitor) => merged.add(monitor.streamEvents(filter, options)));
    return merged;
  }

  sessionEvents(sessionId: string, options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<MonitorEvent, undefined> {
    return this.streamEvents({ sessionId }, options);
  }

  /** Another generation takes work. */
  add(monitor: EventMonitor): void {
    for (const follower of this.#followers) follower(monitor);
  }

  /** No generation will follow; what is buffered can still be read. */
  end(): void {
    this.#ended = true;
    for (const merged of this.#open) merged.finish();
  }

  #follow(follower: (monitor: EventMonitor) => void): () => void {
    if (this.#ended) throw new OpencodeManagerError('POOL_STOPPED', 'The pool was stopped; there are no more events.');
    this.#followers.add(follower);
    for (const monitor of this.#monitors()) follower(monitor);
    return () => void this.#followers.delete(follower);
  }
}
