/** A real browser for tests of pages; where none is installed, those tests are skipped and say so. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const PLACES = [
  process.env['ACKBENCH_TEST_BROWSER'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** null where there is none. */
export const BROWSER_FILE = PLACES.find((file) => file !== undefined && existsSync(file)) ?? null;

export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: BROWSER_FILE as string,
    // A container has no user namespace to build the sandbox from; pages here are our own.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
}

export interface Watched {
  readonly page: Page;
  /** What it said on its console, and scripts that failed. */
  readonly complaints: string[];
  /** Addresses that it asked for. */
  readonly requests: string[];
}

/** A page of this width whose every request and complaint is written down. */
export async function openPage(
  browser: Browser,
  { width, scheme }: { readonly width: number; readonly scheme: 'light' | 'dark' },
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  return { page, complaints, requests };
}
