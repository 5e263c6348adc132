import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { HttpClient } from '../http/index.ts';
import { setTimeout as wait } from 'node:timers/promises';
import type { EffectiveConfig, Protocol, RequestSpec } from '../protocol/index.ts';
import { learnConfig, type Redactor } from '../secrets/index.ts';

export interface ConfirmInput {
  readonly protocol: Pick<Protocol, 'name' | 'confirmation' | 'versions'>;
  readonly client: HttpClient;
  readonly directory: string;
  /** Those that were written for the server. */
  readonly configFiles: readonly string[];
  readonly effective: EffectiveConfig;
  readonly expectedVersion: string;
  /** Milliseconds since the epoch. */
  readonly deadlineAtMs: number;
  readonly output: () => string;
  readonly redactor: Redactor;
  /** opencode has packages to install when it meets the directory: the deadline of the whole start alone counts. */
  readonly installs: boolean;
  readonly signal?: AbortSignal;
}

/** What a running server has shown. */
export interface Confirmed {
  /** As the server itself reports it. */
  readonly version: string;
  /** What of the configuration is not used; sentences. */
  readonly notes: readonly string[];
}

/** A probe that hangs is given up after this time and made again on another connection. */
const probeTimeoutMs = 5000;

/** Wait between two looks whether a directory is met, in milliseconds. */
const settlingPollMs = 50;

/** Longest time for each phase, in milliseconds; the deadline of the whole start holds as well. */
const phaseLimitsMs = { version: 15_000, configuration: 25_000, providers: 15_000, operations: 15_000 } as const;

/**
 * Makes sure that the running server is what was written for it, before any prompt: its version, its configuration as an
 * instance route reports it (health answers with a broken configuration too), and its providers. opencode ignores a
 * missing configuration file and would ask a remote model instead.
 * @throws `SERVER_START_TIMEOUT`, `SERVER_START_FAILED`, `VERSION_UNSUPPORTED`, `OPENCODE_CONFIG_INVALID`, `OPENCODE_CONFIG_MISMATCH`
 */
export async function confirmConfiguration(input: ConfirmInput): Promise<Confirmed> {
  const { confirmation } = input.protocol;
  // All at once: the wait is for the instance that the directory's routes make. Whoever makes it goes first, since the server has
  // one thread, which is free for the others while the instance waits for git.
  const asked = {
    configuration: probe(input, 'configuration', confirmation.configuration.request(input.directory)),
    providers: settledProviders(input),
    version: probe(input, 'version', confirmation.version()),
  };
  // The first that fails is told; what the others say after it is nobody's business.
  for (const answer of Object.values(asked)) answer.catch(() => undefined);
  const { version } = await asked.version;
  refuseOtherVersion(version, input.expectedVersion);
  await refuseLacking(input, version);
  const configuration = confirmation.configuration.decode(await asked.configuration);
  // With all that was put into it, and with what a trusted project's own configuration adds.
  learnConfig(input.redactor, configuration);
  refuseDifference(configuration, input.effective, confirmation.compared);

  const providers = await asked.providers;
  const { invalid = [], unsupported = [] } = confirmation.complaints?.(input.output(), input.configFiles) ?? {};
  refuseLeftOut(invalid);
  const foreign = foreignTo(input, providers);
  if (foreign.length > 0) throw mismatch('providers', input.effective.providers, foreign);
  return { version, notes: unsupported.map((field) => `opencodeConfig: ${field} is not used: opencode ${version} has no such setting`) };
}

/** @throws `OPENCODE_CONFIG_INVALID` */
function refuseLeftOut(complaints: readonly string[]): void {
  if (complaints.length === 0) return;
  throw new OpencodeManagerError(
    'OPENCODE_CONFIG_INVALID',
    `opencodeConfig: opencode cannot use what stands in ${complaints.join(', ')}, and would leave it out. Mend these fields, or take them away. Nothing was sent.`,
    { details: { phase: 'configuration', complaints } },
  );
}

const foreignTo = ({ effective }: ConfirmInput, providers: readonly string[]): string[] =>
  providers.filter((id) => !effective.providers.includes(id));

/** While a directory is met, a server may offer none of its providers, or some that it is going to refuse. */
async function settledProviders(input: ConfirmInput): Promise<readonly string[]> {
  const { ready, ...reading } = input.protocol.confirmation.providers;
  const isMet = async () => !ready || ready.decode(await probe(input, 'providers', ready.request(input.directory)));
  while (!(await isMet())) await wait(settlingPollMs);
  return reading.decode(await probe(input, 'providers', reading.request(input.directory)));
}

/** A version that was not tested has to describe all that is used of it. @throws `VERSION_UNSUPPORTED` */
async function refuseLacking(input: ConfirmInput, version: string): Promise<void> {
  const { confirmation, versions } = input.protocol;
  if (!confirmation.untested || versions.tested.includes(version)) return;
  const missing = confirmation.untested.missing(await probe(input, 'operations', confirmation.untested.request()));
  if (missing.length === 0) return;
  throw new OpencodeManagerError(
    'VERSION_UNSUPPORTED',
    `opencode ${version} is not one of the tested versions (${versions.tested.join(', ')}) and lacks what this manager uses: ${missing.join(', ')}. Install a tested version. Nothing was sent.`,
    { details: { version, tested: versions.tested, missing } },
  );
}

function refuseOtherVersion(version: string, expected: string): void {
  if (version === expected) return;
  throw new OpencodeManagerError(
    'SERVER_START_FAILED',
    `Phase version: the server says ${version}, its binary ${expected}. Install opencode again.`,
    { details: { phase: 'version', version, expected } },
  );
}

function refuseDifference(
  actual: Readonly<Record<string, unknown>>,
  { inOlderForm: config }: EffectiveConfig,
  fields: readonly string[],
): void {
  for (const field of fields) {
    if (JSON.stringify(actual[field]) !== JSON.stringify(config[field])) throw mismatch(field, config[field], actual[field]);
  }
}

function mismatch(field: string, written: unknown, received: unknown): OpencodeManagerError {
  return new OpencodeManagerError(
    'OPENCODE_CONFIG_MISMATCH',
    `Phase configuration: ${field} was written as ${JSON.stringify(written)} and the server uses ${JSON.stringify(received)}. Look for configuration that overrides yours; nothing was sent to a model.`,
    { details: { phase: 'configuration', field, written, received } },
  );
}

async function probe<Response>(input: ConfirmInput, phase: keyof typeof phaseLimitsMs, request: RequestSpec<Response>): Promise<Response> {
  const limitMs = input.installs ? Number.POSITIVE_INFINITY : phaseLimitsMs[phase];
  const deadlineAtMs = Math.min(input.deadlineAtMs, Date.now() + limitMs);
  for (;;) {
    const remainingMs = deadlineAtMs - Date.now();
    if (remainingMs <= 0) {
      throw new OpencodeManagerError('SERVER_START_TIMEOUT', `Phase ${phase}: the server listens and did not answer in time.`, {
        details: { phase },
        output: input.output(),
      });
    }
    try {
      return await input.client.call(request, {
        timeoutMs: Math.min(probeTimeoutMs, remainingMs),
        ...(input.signal && { signal: input.signal }),
      });
    } catch (error) {
      if (isManagerError(error, 'REQUEST_TIMEOUT')) continue;
      throw withPhase(error, phase, input.output());
    }
  }
}

function withPhase(error: unknown, phase: string, output: string): unknown {
  if (!isManagerError(error) || error.code === 'REQUEST_ABORTED') return error;
  const code = error.code === 'OPENCODE_CONFIG_INVALID' ? error.code : 'SERVER_START_FAILED';
  return new OpencodeManagerError(code, `Phase ${phase}: ${error.message}`, { details: { ...error.details, phase }, output, cause: error });
}
