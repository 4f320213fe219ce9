/**
 * The pages say what the code does: settings, metrics, flags, gates and result keys are compared with
 * the code, the README's example is a scenario that is accepted, and no link is dead.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { judgeGates } from '../bench/gates.ts';
import { GOOD_GATE_INPUT } from './support/gate-input.ts';
import { parseScenario, readScenarioFile, Scenario } from '../bench/scenario.ts';
import { auditBooks } from '../loadgen/audit.ts';
import { environmentOf, flagOf, ServerConfig, SETTING_NAMES } from '../server/config.ts';
import { withTempDir } from './support/temp-dir.ts';

const ROOT = resolve(import.meta.dirname, '..');
const README_LINES_MAX = 200;
/** Not ours, or not pages. */
const SKIPPED = new Set(['node_modules', 'dist', 'coverage', 'ackbench-data']);

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Every page of the project. */
function pages(directory = ROOT): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || SKIPPED.has(entry.name)) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) found.push(...pages(path));
    else if (entry.name.endsWith('.md')) found.push(path);
  }
  return found;
}

/** Rows of the first table whose head starts with `firstHead`: trimmed cells without code marks. */
function table(page: string, firstHead: string): string[][] {
  const lines = page.split('\n');
  const head = lines.findIndex((line) => new RegExp(`^\\| ${firstHead} +\\|`).test(line));
  assert.ok(head >= 0, `there is a table that starts with ${firstHead}`);
  const rows: string[][] = [];
  for (let at = head + 2; lines[at]?.startsWith('|') === true; at++) {
    const cells = (lines[at] as string).split('|').slice(1, -1);
    rows.push(cells.map((cell) => cell.trim().replaceAll('`', '')));
  }
  return rows;
}

/** As lines of text, so that a difference reads as the row to write. */
function asText(rows: readonly (readonly string[])[]): string {
  return rows.map((cells) => cells.join(' | ')).join('\n');
}

/** What a section of the page (`## heading`) says, up to the next one. */
function section(page: string, heading: string): string {
  const found = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(found, `there is a section ${heading}`);
  return found;
}

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  const?: unknown;
}

/** Every key that a schema knows, as `load.mode` or `clientEvents[].atS`. */
function keysOf(schema: JsonSchema, prefix = ''): string[] {
  const keys = Object.entries(schema.properties ?? {}).flatMap(([key, value]) => [
    `${prefix}${key}`,
    ...keysOf(value, `${prefix}${key}.`),
  ]);
  if (schema.items !== undefined) keys.push(...keysOf(schema.items, `${prefix.slice(0, -1)}[].`));
  for (const choice of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) {
    keys.push(...keysOf(choice, prefix));
  }
  return [...new Set(keys)].toSorted();
}

/** The anchor that a heading gets. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

/** A page without code, in which brackets are no links and # is no heading. */
function prose(page: string): string {
  return page.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, (code) => code.slice(1, -1));
}

function anchorsOf(page: string): Set<string> {
  const headings = prose(page).matchAll(/^#{1,6} (.+)$/gm);
  return new Set([...headings].map(([, heading]) => anchorOf(heading as string)));
}

const test = suite('docs');

test('OPERATIONS.md lists every setting of the server as it is, and no other', () => {
  const schema = z.toJSONSchema(ServerConfig).properties as Record<
    string,
    {
      type: string;
      default?: unknown;
      enum?: string[];
      minimum?: number;
      maximum?: number;
      description: string;
    }
  >;
  const expected = SETTING_NAMES.map((name) => {
    const setting = schema[name];
    assert.ok(setting, `${name} has a schema`);
    const numbers = `${setting.minimum} … ${setting.maximum}`;
    const values = setting.enum?.join(', ') ?? (setting.type === 'integer' ? numbers : 'text');
    const fallback = setting.default === undefined ? '-' : String(setting.default);
    return [name, flagOf(name), environmentOf(name), fallback, values, setting.description];
  });
  assert.fixture(asText(table(read('docs/OPERATIONS.md'), 'Setting')), asText(expected));
});

test('OPERATIONS.md lists every metric of the server, and no other', () => {
  const inCode = read('server/metrics.ts').matchAll(/'(ackbench_[a-z_]*[a-z])'/g);
  const inDocs = table(read('docs/OPERATIONS.md'), 'Metric').map(([name]) => name as string);
  assert.equal(inDocs.toSorted(), [...inCode].map(([, name]) => name as string).toSorted());
});

test('MEASUREMENT.md lists every gate by its id and name, and no other', () => {
  const gates = judgeGates(GOOD_GATE_INPUT);
  const inDocs = table(read('docs/MEASUREMENT.md'), 'Gate').map((cells) => cells.slice(0, 2));
  assert.fixture(asText(inDocs), asText(gates.map(({ id, name }) => [id, name])));
});

test('MEASUREMENT.md defines every figure of the ledger', () => {
  const page = read('docs/MEASUREMENT.md');
  for (const figure of Object.keys(auditBooks([]).ledger)) {
    assert.ok(page.includes(`\`${figure}\``), `${figure} is defined`);
  }
});

test('RESULTS.md names every key of the result file', () => {
  const page = read('docs/RESULTS.md');
  const interfaces = read('bench/result.ts').matchAll(/^ +(?:readonly )?(\w+)\??: /gm);
  for (const [, key] of interfaces) {
    assert.ok(new RegExp(`[\`.]${key}[\`.]`).test(page), `${key} is explained`);
  }
});

test('every flag of bench is in the README or in RESULTS.md, and no other is in its table', () => {
  const help = spawnSync(process.execPath, [join(ROOT, 'bin/ackbench.mjs'), 'bench', '--help'], {
    encoding: 'utf8',
  });
  assert.is(help.status, 0, help.stderr);
  const flags = [...help.stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)]
    .map(([, flag]) => flag as string)
    .filter((flag) => flag !== '--help');
  assert.ok(flags.length > 10, 'the help was read');
  const text = read('README.md') + read('docs/RESULTS.md');
  for (const flag of flags) assert.ok(text.includes(flag), `${flag} is described`);
  const described = table(read('docs/RESULTS.md'), 'Flag').map(([flag]) => flag as string);
  assert.equal(described.toSorted(), flags.toSorted());
});

test('SCENARIOS.md lists every key of every kind of scenario, and no other', () => {
  const page = read('docs/SCENARIOS.md');
  const kinds = (z.toJSONSchema(Scenario, { io: 'input' }) as JsonSchema).oneOf ?? [];
  assert.is(kinds.length, 5);
  for (const schema of kinds) {
    const kind = schema.properties?.['kind']?.const as string;
    const hasClients = kind === 'load' || kind === 'trace';
    const headings = ['Every kind', ...(hasClients ? ['load and trace'] : []), kind];
    const inDocs = headings.flatMap((heading) =>
      table(section(page, heading), 'Key').map(([key]) => key as string),
    );
    assert.fixture(inDocs.toSorted().join('\n'), keysOf(schema).join('\n'), kind);
  }
});

test('every scenario in SCENARIOS.md is accepted', () => {
  const examples = [...read('docs/SCENARIOS.md').matchAll(/^```yaml\n([\s\S]*?)^```$/gm)];
  assert.ok(examples.length >= 3, 'the page has examples');
  for (const [, example] of examples) {
    const scenario = parseScenario(parseYaml(example as string), 'docs/SCENARIOS.md');
    assert.not('mistakes' in scenario, JSON.stringify(scenario));
  }
});

test("the README's scenario is accepted", () =>
  withTempDir(async (directory) => {
    const example = /^```yaml\n([\s\S]*?)^```$/m.exec(read('README.md'))?.[1];
    assert.ok(example, 'the README has an example in YAML');
    const file = join(directory, 'example.yaml');
    writeFileSync(file, example);
    const scenarios = readScenarioFile(file);
    assert.not('mistakes' in scenarios, JSON.stringify(scenarios));
  }));

test(`the README has at most ${README_LINES_MAX} lines`, () => {
  const lines = read('README.md').trimEnd().split('\n').length;
  assert.ok(lines <= README_LINES_MAX, `${lines} lines`);
});

test('decisions/README.md lists every decision', () => {
  const index = read('docs/decisions/README.md');
  const files = readdirSync(join(ROOT, 'docs/decisions')).filter((name) => /^\d{4}-/.test(name));
  assert.ok(files.length > 0);
  for (const file of files) assert.ok(index.includes(`(${file})`), `${file} is in the index`);
});

test('no relative link is dead, nor its anchor', () => {
  const dead: string[] = [];
  for (const page of pages()) {
    for (const [, link] of prose(readFileSync(page, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link as string)) continue;
      const [path, anchor] = (link as string).split('#') as [string, string | undefined];
      const target = path === '' ? page : resolve(dirname(page), path);
      const isDead =
        !existsSync(target) ||
        (anchor !== undefined &&
          (statSync(target).isDirectory() || !anchorsOf(readFileSync(target, 'utf8')).has(anchor)));
      if (isDead) dead.push(`${relative(ROOT, page)}: ${link}`);
    }
  }
  assert.equal(dead, []);
});

test('no page holds a placeholder', () => {
  const found = pages().filter((page) => /^@\w+@$/m.test(readFileSync(page, 'utf8')));
  assert.equal(found, []);
});

test.run();
