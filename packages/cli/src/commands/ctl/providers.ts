import { exitCodes, type ExitCode } from '../../exit-codes.ts';
import type { CtlTaskFlags } from '../../flags.ts';
import type { ProviderView } from '../../manager-socket/index.ts';
import { printable, renderTable } from '../../render/index.ts';
import type { Terminal } from '../../terminal/index.ts';
import { withRun } from './find-run.ts';

/** `ocm ctl provider list`: what is asked of each provider account, and until when nothing is. */
export async function listProviders(terminal: Terminal, flags: CtlTaskFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../../queue/ctl.ts')).listHeldProviders(terminal, flags);
  return withRun(flags.run, async ({ manager, id }, signal) => {
    const providers = await manager.call('providers', { run: id }, { signal });
    if (flags.json) for (const provider of providers) terminal.record({ type: 'provider', ...provider });
    else for (const line of table(providers, terminal)) terminal.result(line);
    return exitCodes.ok;
  });
}

function table(providers: readonly ProviderView[], { colors }: Terminal): string[] {
  const columns = [
    { title: 'PROVIDER' },
    { title: 'RUNNING', align: 'right' },
    { title: 'WAITING', align: 'right' },
    { title: 'STATE' },
  ] as const;
  const rows = providers.map((provider) => [
    printable(provider.id),
    String(provider.running),
    String(provider.waiting),
    stateText(provider),
  ]);
  return rows.length === 0 ? [] : renderTable(columns, rows, colors.bold);
}

function stateText({ is_paused: isPaused, held_until: heldUntil, limit }: ProviderView): string {
  if (isPaused) return 'paused';
  if (heldUntil !== null) return `held until ${heldUntil}`;
  return limit === null ? 'open' : `open, ${limit} at once`;
}

/** `ocm ctl provider pause ID...` */
export async function pauseProviders(terminal: Terminal, ids: readonly string[], flags: CtlTaskFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../../queue/ctl.ts')).holdProviders(terminal, ids, flags, true);
  return change(terminal, ids, flags, {
    method: 'pauseProviders',
    done: 'paused: what runs goes on, and nothing that asks it starts',
    before: 'was paused already',
  });
}

/** `ocm ctl provider resume ID...`: whatever holds it back, its quota too. */
export async function resumeProviders(terminal: Terminal, ids: readonly string[], flags: CtlTaskFlags): Promise<ExitCode> {
  if (flags.queue !== undefined) return (await import('../../queue/ctl.ts')).holdProviders(terminal, ids, flags, false);
  return change(terminal, ids, flags, { method: 'resumeProviders', done: 'goes on', before: 'was not held back' });
}

interface ProviderChange {
  readonly method: 'pauseProviders' | 'resumeProviders';
  readonly done: string;
  readonly before: string;
}

function change(
  terminal: Terminal,
  ids: readonly string[],
  flags: CtlTaskFlags,
  { method, done, before }: ProviderChange,
): Promise<ExitCode> {
  return withRun(flags.run, async ({ manager, id }, signal) => {
    const changes = await manager.call(method, { run: id, providers: [...ids] }, { signal });
    const type = { pauseProviders: 'provider.paused', resumeProviders: 'provider.resumed' }[method];
    for (const { provider, changed } of changes) {
      if (flags.json) terminal.record({ type, provider, changed });
      else terminal.result(`${printable(provider)} ${changed ? done : before}`);
    }
    return exitCodes.ok;
  });
}
