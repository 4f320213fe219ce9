// deadline: 120s
/**
 * `ackbench report` and `bench --ui` as processes: a page from real files, mistakes in words with exit
 * code 2, and a run that can be watched from its start to its result.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LiveEvent } from '../../bench/report/model.ts';
import { eventually, runCli, startCli, stopAll } from '../support/bench-process.ts';
import { fullResult } from '../support/report-files.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-report-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

let files = 0;

function file(ending: string, text = ''): string {
  const path = join(dir, `${++files}.${ending}`);
  if (text !== '') writeFileSync(path, text);
  return path;
}

test('writes a page and says where and how large it is', async () => {
  const page = file('html');
  const result = file('json', JSON.stringify(fullResult()));
  const { code, stdout, stderr } = await runCli(['report', result, '--out', page]);
  assert.is(code, 0, stderr);
  assert.is(stderr, '');
  assert.match(stdout, new RegExp(`^${page}: \\d+ KiB\n$`));
  assert.match(readFileSync(page, 'utf8'), /^<!doctype html>/);
});

test('says everything that is wrong, writes nothing, and ends with 2', async () => {
  const good = file('json', JSON.stringify(fullResult()));
  const other = file('json', '{"name":"something else"}');
  const page = file('html');
  const { code, stdout, stderr } = await runCli([
    'report',
    good,
    other,
    'nope.json',
    '--out',
    page,
  ]);
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.is(
    stderr,
    `report: ${other}: is no result file of ackbench: give what bench, compare or capacity wrote\n` +
      'report: nope.json: no such file\n',
  );
  assert.throws(() => readFileSync(page));
});

test('--help lists the flags', async () => {
  const { code, stdout } = await runCli(['report', '--help']);
  assert.is(code, 0);
  assert.match(stdout, /--out <file>/);
});

test('a port for a page that nobody wants, or that is taken, is a mistake', async () => {
  const unwanted = await runCli(['bench', '--ui-port', '70000']);
  assert.is(unwanted.code, 2);
  assert.match(unwanted.stderr, /--ui-port 70000: must be between 0 and 65535/);
  assert.match(unwanted.stderr, /--ui-port: needs --ui/);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  const { code, stdout, stderr } = await runCli(['bench', '--ui', '--ui-port', String(port)]);
  taken.close();
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.is(stderr, `bench: --ui-port ${port}: is taken; choose another, or 0 for any\n`);
});

/** Everything that a page is told until the run is over. */
async function watch(address: string): Promise<LiveEvent[]> {
  const response = await fetch(new URL('events', address));
  const events: LiveEvent[] = [];
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body as ReadableStream<Uint8Array>) {
    const parts = `${rest}${decoder.decode(bytes, { stream: true })}`.split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      if (part.startsWith('data: ')) events.push(JSON.parse(part.slice(6)) as LiveEvent);
    }
  }
  return events;
}

test('a run can be watched from its start to its result, and ends as if nobody had', async () => {
  const scenario = {
    kind: 'load',
    name: 'watched',
    clients: 20,
    load: { mode: 'open', ratePerSec: 200 },
    durationS: 2,
    warmupS: 0.2,
    retransmit: { firstMs: 150, maxMs: 150, maxAttempts: 60 },
    judged: 'audit',
  };
  const run = startCli(
    [
      'bench',
      '--scenario',
      file('json', JSON.stringify(scenario)),
      '--out',
      join(dir, 'out'),
      '--ui',
      '--ui-port',
      '0',
    ],
    { TMPDIR: dir },
  );
  const address = await eventually(
    'the address',
    () => /^live: (\S+)$/m.exec(run.stderr())?.[1] ?? null,
  );
  const page = await (await fetch(address)).text();
  assert.match(page, /"isLive":true/);
  const events = await watch(address);
  const { code, stdout } = await run.ended;
  assert.is(code, 0);
  assert.match(stdout, /^watched {2}pass/m);
  const types = events.map(({ type }) => type);
  assert.is(types[0], 'state');
  assert.ok(types.includes('second'), types.join(', '));
  assert.is(types.at(-1), 'end');
  const end = events.at(-1) as LiveEvent & { type: 'end' };
  const [result] = end.state.page.results;
  assert.is(result?.verdict, 'pass');
  assert.is(result?.scenarios[0]?.whole.ledger.lost, 0);
  assert.ok((result?.scenarios[0]?.whole.latency.confirmUs?.curve.length ?? 0) > 5);
});

test.run();
