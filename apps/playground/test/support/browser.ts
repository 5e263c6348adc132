import { constants, existsSync } from 'node:fs';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import sparticuz from '@sparticuz/chromium';
import { chromium, type BrowserContext, type Page } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

/** `CHROMIUM_BIN`, else one on PATH, else the one of the development dependency, which needs no system package. */
async function chromiumPath(): Promise<string> {
  const named = process.env['CHROMIUM_BIN'];
  if (named) return checkedPath(named);
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((directory) => names.map((name) => join(directory, name)))
    .find((path) => existsSync(path));
  return found ?? sparticuz.executablePath();
}

/** A variable that names nothing is a mistake to be told of, not a reason to take another browser. */
async function checkedPath(named: string): Promise<string> {
  try {
    await access(named, constants.X_OK);
    return named;
  } catch (error) {
    throw new Error(
      `CHROMIUM_BIN names ${named}, which is no program that can be run (${(error as NodeJS.ErrnoException).code}). Correct it, or unset it to use a Chromium on PATH or the one that comes with the development dependencies.`,
      { cause: error },
    );
  }
}

/** A browser with an empty profile. */
export interface Browsing extends AsyncDisposable {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page complained of: errors of scripts and of its content security policy. */
  readonly complaints: readonly string[];
}

const width = 1280;
const height = 800;

export async function openBrowser(
  options: { readonly width?: number; readonly height?: number; readonly colorScheme?: 'light' | 'dark'; readonly proxyPort?: number } = {},
): Promise<Browsing> {
  const executablePath = await chromiumPath();
  const profile = await mkdtemp(join(tmpdir(), 'ocm-playground-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Loopback addresses pass a proxy by unless told otherwise.
      ...(options.proxyPort === undefined ? [] : [`--proxy-server=127.0.0.1:${options.proxyPort}`, '--proxy-bypass-list=<-loopback>']),
    ],
    viewport: { width: options.width ?? width, height: options.height ?? height },
    colorScheme: options.colorScheme ?? 'light',
    acceptDownloads: true,
  });
  // Two cores, several of them busy: what a page does within a second elsewhere may take many here.
  context.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  const page = context.pages()[0] ?? (await context.newPage());
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  return {
    context,
    page,
    complaints,
    async [Symbol.asyncDispose]() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
