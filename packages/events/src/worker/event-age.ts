/** opencode's ids carry 48 bits of time: `evt_` and twelve hexadecimal digits of (milliseconds x 4096 + counter). */
const timeOfId = /^evt_([0-9a-f]{12})/;
const span = 2 ** 48;

/**
 * Order of an event after `baselineId`: positive when it is younger, negative when it is older. The 48 bits wrap every
 * 795 days, so the nearer direction counts. `undefined` when one of the ids has no time in it.
 */
export function eventAge(id: string, baselineId: string): number | undefined {
  const time = timeOfId.exec(id);
  const baseline = timeOfId.exec(baselineId);
  if (!time || !baseline) return undefined;
  const distance = (Number.parseInt(time[1]!, 16) - Number.parseInt(baseline[1]!, 16) + span) % span;
  return distance < span / 2 ? distance : distance - span;
}
