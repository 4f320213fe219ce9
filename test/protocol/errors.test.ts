/**
 * The registry of codes is consistent in itself and in step with docs/ERRORS.md, in both directions:
 * a code without a row, a row without a code and a row that says something else all fail.
 */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assert as assertTrue,
  CLOSE_INFO,
  CloseCode,
  EXIT_INFO,
  ExitCode,
  HTTP_ERROR,
  never,
  Status,
  STATUS_INFO,
  statusName,
} from '../../protocol/index.ts';

const PAGE = readFileSync(new URL('../../docs/ERRORS.md', import.meta.url), 'utf8');
const PROTOCOL_PAGE = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');

/** Rows of the first table under a heading: trimmed cells, code marks removed, no head. */
function tableUnder(page: string, heading: string): string[][] {
  const from = page.indexOf(`\n${heading}\n`);
  assert.ok(from >= 0, `the page has the heading "${heading}"`);
  const lines = page.slice(from + heading.length + 2).split('\n');
  const start = lines.findIndex((line) => line.startsWith('|'));
  const end = lines.findIndex((line, at) => at > start && !line.startsWith('|'));
  return lines
    .slice(start + 2, end)
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')));
}

/** Compares as lines of text, so that a difference reads as the row to write. */
function assertRows(actual: readonly string[][], expected: readonly string[][]): void {
  const asText = (rows: readonly string[][]) => rows.map((cells) => cells.join(' | ')).join('\n');
  assert.fixture(asText(actual), asText(expected));
}

/** uvu's own `assert.throws` lets failed assertions through. */
function refuses(check: () => void): boolean {
  try {
    check();
    return false;
  } catch {
    return true;
  }
}

function byCode(codes: object): number[] {
  return (Object.values(codes) as number[]).sort((a, b) => a - b);
}

/** Whether a client reconnects by itself after a close code. */
function reconnects(code: CloseCode): boolean {
  return code === CloseCode.Restart || (code >= 4000 && code < 4500);
}

const STATUSES = byCode(Status).filter((code) => code !== Status.Ok) as Exclude<Status, 0>[];
const CLOSE_CODES = byCode(CloseCode) as CloseCode[];
const EXIT_CODES = byCode(ExitCode) as ExitCode[];

const registry = suite('registry');

registry('every code has its own number', () => {
  for (const codes of [Status, CloseCode, ExitCode]) {
    const numbers = Object.values(codes);
    assert.is(new Set(numbers).size, numbers.length);
  }
});

registry('every code has an entry and every entry a code', () => {
  assert.equal(Object.keys(STATUS_INFO).map(Number), STATUSES);
  assert.equal(Object.keys(CLOSE_INFO).map(Number), CLOSE_CODES);
  assert.equal(Object.keys(EXIT_INFO).map(Number), EXIT_CODES);
});

registry('names are unique among statuses and among close codes, in kebab-case', () => {
  for (const infos of [STATUS_INFO, CLOSE_INFO]) {
    const names = Object.values(infos).map((info) => info.name);
    assert.is(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z]+(-[a-z]+)*$/);
  }
  for (const name of Object.keys(HTTP_ERROR)) assert.match(name, /^[a-z]+(-[a-z]+)*$/);
});

registry('advice is a sentence', () => {
  for (const info of [...Object.values(STATUS_INFO), ...Object.values(CLOSE_INFO)]) {
    assert.match(info.advice, /\.$/);
    assert.not.match(info.advice, /\||\n/, 'fits a table');
  }
});

registry('a status fits its byte and is definite: the request had no effect', () => {
  for (const code of STATUSES) {
    assert.ok(code > 0 && code <= 255);
    assert.is(STATUS_INFO[code].certainty, 'definite');
  }
});

registry('close codes are standard ones or lie in 4000-4499 and 4500-4999', () => {
  for (const code of CLOSE_CODES) {
    const isStandard = code === 1003 || code === 1012;
    assert.ok(isStandard || (code >= 4000 && code <= 4999), String(code));
  }
});

registry('what reconnecting cannot cure is a definite error or a kick', () => {
  for (const code of CLOSE_CODES) {
    const isFinal = CLOSE_INFO[code].certainty === 'definite' || code === CloseCode.Kicked;
    assert.is(isFinal, !reconnects(code), CLOSE_INFO[code].name);
  }
});

registry('HTTP errors are client errors or "try again", under statuses that HTTP has', () => {
  for (const [name, status] of Object.entries(HTTP_ERROR)) {
    assert.ok([400, 401, 404, 405, 413, 429, 503].includes(status), `${name} ${status}`);
  }
});

registry('exit codes are those of the design', () => {
  assert.equal(EXIT_CODES, [0, 1, 2, 3, 4, 70, 130]);
});

registry('statusName names every status, and numbers those it does not know', () => {
  assert.is(statusName(Status.Ok), 'ok');
  assert.is(statusName(Status.InboxFull), 'inbox-full');
  for (const code of STATUSES) assert.is(statusName(code), STATUS_INFO[code].name);
  assert.is(statusName(200), 'status 200');
});

const docs = suite('docs/ERRORS.md');

docs('lists every status and nothing else', () => {
  assertRows(tableUnder(PAGE, '## Statuses'), [
    ['0', 'ok', '-', '-', 'The request was carried out.'],
    ...STATUSES.map((code) => {
      const { name, blame, certainty, advice } = STATUS_INFO[code];
      return [String(code), name, blame, certainty, advice];
    }),
  ]);
});

docs('lists every close code and nothing else', () => {
  assertRows(
    tableUnder(PAGE, '## Close codes'),
    CLOSE_CODES.map((code) => {
      const { name, blame, certainty, advice } = CLOSE_INFO[code];
      return [String(code), name, blame, certainty, reconnects(code) ? 'yes' : 'no', advice];
    }),
  );
});

docs('lists every HTTP error and nothing else', () => {
  const rows = tableUnder(PAGE, '## HTTP errors');
  assertRows(
    rows.map((cells) => cells.slice(0, 2)),
    Object.entries(HTTP_ERROR).map(([name, status]) => [String(status), name]),
  );
  for (const [, name, blame, certainty, advice] of rows) {
    assert.match(blame as string, /^(local|remote)$/, name);
    assert.match(certainty as string, /^(definite|indefinite)$/, name);
    assert.match(advice as string, /\.$/, name);
    // Where an HTTP error shares its name with a status, the two say the same.
    const status = STATUSES.find((code) => STATUS_INFO[code].name === name);
    if (status !== undefined) assert.is(advice, STATUS_INFO[status].advice);
  }
});

docs('lists every exit code and nothing else', () => {
  assertRows(
    tableUnder(PAGE, '## Exit codes'),
    EXIT_CODES.map((code) => {
      const [name, ...meaning] = EXIT_INFO[code].split(': ');
      return [String(code), name as string, meaning.join(': ') || 'everything held'];
    }),
  );
});

docs('the short tables in docs/PROTOCOL.md have the same codes', () => {
  assert.equal(
    tableUnder(PROTOCOL_PAGE, '### Statuses').map(([code, name]) => [code, name]),
    [['0', 'ok'], ...STATUSES.map((code) => [String(code), STATUS_INFO[code].name])],
  );
  assert.equal(
    tableUnder(PROTOCOL_PAGE, '### Close codes').map(([code, name, again]) => [code, name, again]),
    CLOSE_CODES.map((code) => [
      String(code),
      CLOSE_INFO[code].name,
      reconnects(code) ? 'yes' : 'no',
    ]),
  );
});

docs('the table reader notices a row too many, a row too few and a changed word', () => {
  const page = '\n## T\n\ntext\n\n| a | b |\n| - | - |\n| 1 | `x` |\n| 2 | y |\n\n| other |\n';
  assertRows(tableUnder(page, '## T'), [
    ['1', 'x'],
    ['2', 'y'],
  ]);
  const text = [
    ['1', 'x'],
    ['2', 'y'],
    ['3', 'z'],
  ];
  for (const wrong of [text, text.slice(0, 1), [['1', 'x'], text[2] as string[]]]) {
    assert.ok(refuses(() => assertRows(tableUnder(page, '## T'), wrong)));
  }
  assert.ok(refuses(() => tableUnder(page, '## U')));
});

const programmerErrors = suite('programmer errors');

programmerErrors('assert lets truth pass and throws its reason otherwise', () => {
  assertTrue(true, 'fine');
  assert.throws(() => assertTrue(false, 'two and two'), /^assertion failed: two and two$/);
});

programmerErrors('never names what was not handled', () => {
  assert.throws(() => never('teapot' as never, 'vessel'), 'unhandled vessel: teapot');
});

registry.run();
docs.run();
programmerErrors.run();
