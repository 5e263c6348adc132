/** Node fires a timer that is longer at once, in milliseconds. */
export const longestTimerMs = 2 ** 31 - 1;

/** Calls back after so long; a time that no timer can hold is no deadline. Give the result to `clearTimeout`. */
export function startDeadline(timeoutMs: number, onLate: () => void): NodeJS.Timeout | undefined {
  return timeoutMs <= longestTimerMs ? setTimeout(onLate, Math.max(0, timeoutMs)) : undefined;
}
