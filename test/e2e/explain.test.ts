// deadline: 120s
/**
 * `bench --trace-messages` and `ackbench explain` as a user runs them: a tiny lossy load, what the trace
 * says of all its messages beside what the ledger says, and the story of one that was sent again.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readMessageTrace, writeMessageTrace } from '../../bench/explain/message-trace-file.ts';
import { rank, type Ranking } from '../../bench/explain/ranking.ts';
import type { SavedTrace } from '../../bench/explain/save.ts';
import { tellStory } from '../../bench/explain/story.ts';
import type { ScenarioResult } from '../../bench/result.ts';
import { readResult, runCli, stopAll } from '../support/bench-process.ts';
import { MessageScript, RECEIVER, SENDER } from '../support/message-trace.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-explain-test-'));
test.after(() => {
  stopAll();
  rmSync(dir, { recursive: true, force: true });
});

const SIX = ['msg:R', 'msg:A', 'msg:N', 'ack:R', 'ack:A', 'ack:N'];
const LOSSY = {
  kind: 'load',
  name: 'tiny-lossy',
  clients: 20,
  offlineShare: 0.2,
  load: { mode: 'open', ratePerSec: 200 },
  durationS: 0.6,
  warmupS: 0.1,
  retransmit: { firstMs: 100, maxMs: 100, maxAttempts: 60 },
  faults: {
    drop: Object.fromEntries(SIX.map((packet) => [packet, 0.1])),
    duplicate: 0.02,
    reorder: 0.05,
  },
  judged: 'audit',
};

async function traced() {
  const file = join(dir, 'scenario.json');
  const json = join(dir, 'result.json');
  writeFileSync(file, JSON.stringify(LOSSY));
  const args = ['bench', '--retries', '0', '--out', join(dir, 'out'), '--json', json];
  const ended = await runCli([...args, '--scenario', file, '--seed', '7', '--trace-messages'], {
    TMPDIR: dir,
  });
  assert.is(ended.code, 0, ended.stderr);
  const [scenario] = readResult(json).scenarios as [ScenarioResult];
  const saved = scenario.extra['messageTrace'] as SavedTrace;
  const trace = await readMessageTrace(join(dir, 'out', saved.file));
  return { ended, scenario, saved, trace };
}

const running = traced();
running.catch(() => {}); // told by the tests

test('a traced run says how much it recorded, and the trace agrees with the ledger', async () => {
  const { ended, scenario, saved, trace } = await running;
  const { ledger, dedupe, retransmit } = scenario;
  assert.match(ended.stdout, `events in ${saved.file}`);
  assert.is(saved.overwritten, 0);
  const names = readdirSync(join(dir, 'out')).filter((name) => name.endsWith('.trace.gz'));
  assert.equal(names, [saved.file]);

  const all = rank(trace, Infinity);
  assert.is(all.messages, ledger.attempted);
  assert.is(all.events, saved.events);
  assert.is(all.troubledCount, 0);
  assert.is(all.slowest.length, ledger.attempted);
  const count = (fate: string): number => all.slowest.filter((one) => one.fate === fate).length;
  assert.is(count('confirmed'), ledger.confirmed);
  assert.is(count('stored'), ledger.confirmedStored);
  const sum = (pick: (one: (typeof all.slowest)[0]) => number): number =>
    all.slowest.reduce((total, one) => total + pick(one), 0);
  assert.is(
    sum(({ transmissions }) => transmissions),
    ledger.attempted + retransmit.count,
  );
  assert.is(
    sum(({ absorbed }) => absorbed),
    dedupe.absorbed,
  );
});

test('every packet of every story has a cause, and time goes on', async () => {
  const { trace } = await running;
  for (const message of rank(trace, Infinity).slowest) {
    const story = tellStory(trace, message);
    assert.ok(story);
    for (const [i, { way, mark, cause, text }] of story.steps.entries()) {
      if (way === 'in') assert.ok(cause !== null && cause < i, `${story.name}: ${text}`);
      if (mark === 'released' || mark === 'lost') assert.is(story.steps[cause ?? -1]?.mark, 'held');
      assert.not.match(text, /not in the trace|once more/);
    }
    const known = story.steps.flatMap(({ atUs }) => atUs ?? []);
    assert.equal(
      known,
      known.toSorted((a, b) => a - b),
    );
  }
});

test('explain tells the story of a message that was sent again, and draws it', async () => {
  const { trace } = await running;
  const [wanted] = rank(trace, 1).mostRepeated;
  assert.ok(wanted);
  const svg = join(dir, 'story.svg');
  const out = join(dir, 'out');
  const { code, stdout, stderr } = await runCli([
    ...['explain', `lost ${wanted.name}`, '--out', out, '--svg', svg],
  ]);
  assert.is(code, 0, stderr);
  const again = wanted.transmissions - 1;
  assert.match(stdout, `tiny-lossy: ${wanted.name}`);
  assert.match(stdout, `transmission ${again + 1}, retransmission ${again}`);
  assert.match(stdout, /^ {13}server {17}takes it/m);
  assert.match(stdout, new RegExp(`(by push|from the inbox); .*${again} retransmissions?; `));
  assert.match(readFileSync(svg, 'utf8'), /^<svg [\s\S]*<\/svg>\n$/);
});

test('a long list comes whole through a pipe', async () => {
  const script = new MessageScript(2000);
  for (let seq = 1; seq <= 1000; seq++) {
    script.trace.onSubmitted(5_000_000 + seq, SENDER, RECEIVER, 1, seq, 5_000_000);
  }
  const { header, blocks } = script.file();
  const file = join(dir, 'long.trace.gz');
  await writeMessageTrace(file, header, blocks);
  const { code, stdout } = await runCli(['explain', '--trace', file, '--list', '1000', '--json']);
  assert.is(code, 0);
  assert.ok(stdout.length > 200_000, 'more than a pipe holds');
  assert.is((JSON.parse(stdout) as Ranking).troubled.length, 1000);
});

test.run();
