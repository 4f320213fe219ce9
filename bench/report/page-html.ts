/**
 * The page as one HTML file. What must stay true: nothing of a result file is ever markup. Data are JSON
 * in a block that is no script, with every `<` escaped, and the page puts them in place as text. The
 * policy allows exactly the one script and the one style that are written here, by their hashes, and no
 * request; so even a mistake in the page could run nothing that a file brings along.
 */
import { createHash } from 'node:crypto';
import { bundlePage, plotStyle } from './bundle.ts';
import type { PageData } from './model.ts';
import { STYLE } from './style.ts';

let parts: { script: string; style: string } | null = null;

/** The parts that every page has, made once. */
function fixedParts(): { script: string; style: string } {
  parts ??= {
    // What would end its element early cannot be in it.
    script: bundlePage().replaceAll('</script', '<\\/script'),
    style: `${plotStyle()}\n${STYLE}`,
  };
  return parts;
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** The Content-Security-Policy of every page; a live one may ask its own origin for news. */
export function pagePolicy({ isLive }: { isLive: boolean }): string {
  const { script, style } = fixedParts();
  return [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    `connect-src ${isLive ? "'self'" : "'none'"}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/** JSON that is inert inside an element, whatever is in it. */
export function inertJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (sign) => ESCAPES[sign] as string);
}

export function renderPage(data: PageData): string {
  const { script, style } = fixedParts();
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${pagePolicy(data)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>ackbench report</title>
<style>${style}</style>
</head>
<body>
<noscript><p>This page draws its plots with a script, which is part of this file: allow scripts to see it.</p></noscript>
<div id="page"></div>
<script type="application/json" id="data">${inertJson(data)}</script>
<script>${script}</script>
</body>
</html>
`;
}
