// What another manager sees of this user's runs and what it cleans up; printed as one line.
import { describeForeign, findLeftovers, listForeignRuns, listRuns, managerOf, reapLeftovers } from '@opencode-manager/core';

const found = await findLeftovers();
const reaped = await reapLeftovers(found);
const foreign = (await listForeignRuns()).map((record) => ({ runId: record.runId, whose: describeForeign(managerOf(record)) }));
process.stdout.write(`${JSON.stringify({ runs: (await listRuns()).length, leftovers: found.length, reaped, foreign })}\n`);
