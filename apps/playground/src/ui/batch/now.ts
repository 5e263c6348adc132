import { useEffect, useState } from 'react';

/** The time now, in milliseconds since the epoch: once a second while something counts it, and no more once nothing does. */
export function useNow(isCounting: boolean): number {
  const [nowMs, setNow] = useState(() => Date.now());
  useEffect(() => {
    setNow(Date.now());
    if (!isCounting) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [isCounting]);
  return nowMs;
}
