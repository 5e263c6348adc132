import { isManagerError, OpencodeManagerError } from '../errors/index.ts';
import type { HttpClient, ServerCredentials } from '../http/index.ts';
import { describeNeed, handedOver, isInstalledByOpencode, networkVariables, wasInstalled, type NeededPackage } from '../isolation/index.ts';
import {
  createPartsReader,
  definedPlugins,
  describePart,
  refuseBrokenTools,
  type ConfiguredPart,
  type PartsReader,
} from './configured-parts.ts';
import { launchReport, type LaunchedPackage, type LaunchReport } from './launch-report.ts';
import type { Protocol, ServerCalls } from '../protocol/index.ts';
import { watchPlugins } from './plugin-failures.ts';
import type { LaunchPlan, PreparedFiles } from './launch-plan.ts';
import type { Run } from './run-state.ts';

export interface FirstMeeting {
  readonly run: Run;
  readonly plan: Pick<LaunchPlan, 'config' | 'git'>;
  readonly prepared: PreparedFiles;
  readonly protocol: Protocol;
  readonly client: HttpClient;
  readonly credentials: ServerCredentials;
  /** The tail of what the server has printed. */
  readonly output: () => string;
  /** Milliseconds since the epoch. */
  readonly deadlineAtMs: number;
}

/** What is known of a server when it has met its directory. */
export interface Met<Confirmed> {
  readonly confirmed: Confirmed;
  readonly launch: LaunchReport;
  readonly parts: PartsReader;
}

/**
 * The first request makes opencode meet its directory: it installs and loads plugins then, and says on its stream alone which of them fail.
 * @throws `PACKAGE_UNAVAILABLE` with `strict`, `PART_UNAVAILABLE`, `SERVER_START_TIMEOUT`, and what `confirm` throws
 */
export async function meetDirectory<Confirmed>(meeting: FirstMeeting, confirm: () => Promise<Confirmed>): Promise<Met<Confirmed>> {
  const { run, prepared, protocol, client, credentials, output } = meeting;
  const { config, git } = meeting.plan;
  const { inOlderForm: written, needed, referencedVariables, providers } = prepared;
  const configDirectory = run.state.layout.opencodeConfig;
  const calls = protocol.calls(client, { output });
  const hasPlugins = (await definedPlugins(written, configDirectory)).length > 0;
  const watch = hasPlugins && !calls.pluginFailures ? await watchPlugins(credentials, protocol.stream) : undefined;
  try {
    const confirmed = await confirm();
    const call = config.signal ? { signal: config.signal } : {};
    await refuseBrokenTools(calls, config.directory, configDirectory, call);
    const said = (await watch?.hear(client, config.directory)) ?? (await askForFailures(meeting, calls));
    const packages = await Promise.all(needed.map((each) => launchedPackage(run, protocol, each)));
    const places = protocol.configuration.packages;
    const failures = failuresOf(packages, said, (each) => isInstalledByOpencode(places, each));
    if (config.strict === true && failures.length > 0) throw unavailable(failures, packages);
    const parts = createPartsReader(calls, config.directory, { config: written, providers, configDirectory, saidOfPlugins: said });
    if (config.strict === true) refuseMissing(await parts({ settled: true, ...call }));
    const network = networkVariables(process.env, handedOver({ config, referencedVariables }));
    const installs = needed.some((each) => isInstalledByOpencode(places, each));
    return { confirmed, launch: launchReport({ config, git, network, packages, installs, failures }), parts };
  } finally {
    await watch?.stop();
  }
}

/** @throws `SERVER_START_TIMEOUT` */
async function askForFailures(
  { plan: { config }, prepared, output, deadlineAtMs }: FirstMeeting,
  calls: ServerCalls,
): Promise<readonly string[]> {
  const packages = prepared.needed.flatMap(({ kind, package: spec }) => (kind === 'plugin' ? [spec] : []));
  const call = { timeoutMs: Math.max(1, deadlineAtMs - Date.now()), ...(config.signal && { signal: config.signal }) };
  try {
    return (await calls.pluginFailures?.(config.directory, packages, call)) ?? [];
  } catch (error) {
    if (!isManagerError(error, 'REQUEST_TIMEOUT')) throw error;
    const details = { phase: 'plugins' };
    throw new OpencodeManagerError('SERVER_START_TIMEOUT', `Phase plugins: ${error.message}`, { details, output: output(), cause: error });
  }
}

/** Whether opencode has something to install when it meets the directory. */
export async function hasToInstall({ state }: Run, { configuration }: Protocol, { needed }: PreparedFiles): Promise<boolean> {
  const installs = needed.filter((each) => isInstalledAtStart(each) && isInstalledByOpencode(configuration.packages, each));
  const present = await Promise.all(installs.map((each) => wasInstalled(state.layout, configuration.packages, each)));
  return present.includes(false);
}

const isInstalledAtStart = ({ kind }: NeededPackage): boolean => kind === 'plugin' || kind === 'config_directory';

async function launchedPackage({ state }: Run, { configuration }: Protocol, needed: NeededPackage): Promise<LaunchedPackage> {
  if (await wasInstalled(state.layout, configuration.packages, needed)) return { ...needed, status: 'installed' };
  return { ...needed, status: isInstalledAtStart(needed) ? 'failed' : 'unknown' };
}

/** What opencode said, and the packages that are missing without a word of it. */
function failuresOf(
  packages: readonly LaunchedPackage[],
  said: readonly string[],
  isInstalled: (needed: NeededPackage) => boolean,
): string[] {
  const silent = packages.filter(({ status, package: spec }) => status === 'failed' && !said.some((text) => text.includes(spec)));
  const remedy = (each: NeededPackage) =>
    isInstalled(each)
      ? 'was not installed. Look at the registry and the network of the server.'
      : 'is not there, and this version of opencode does not install it. Run `npm install` in that directory before.';
  return [...said, ...silent.map((each) => `${describeNeed(each)} ${remedy(each)}`)];
}

function unavailable(failures: readonly string[], packages: readonly LaunchedPackage[]): OpencodeManagerError {
  return new OpencodeManagerError('PACKAGE_UNAVAILABLE', `Option strict: ${failures.join(' ')} Nothing was sent.`, {
    details: { failures, packages: packages.filter(({ status }) => status === 'failed') },
  });
}

/** @throws `PART_UNAVAILABLE` */
function refuseMissing(parts: readonly ConfiguredPart[]): void {
  const missing = parts.filter(({ status }) => status === 'failed');
  if (missing.length === 0) return;
  throw new OpencodeManagerError('PART_UNAVAILABLE', `Option strict: ${missing.map(describePart).join(' ')} Nothing was sent.`, {
    details: { parts: missing },
  });
}
