/**
 * `ackbench explain` and `--trace-messages` from the outside, without a run: what is printed, where it
 * looks, and what it says when something is wrong, always with exit code 2.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { explain } from '../../../bench/explain/main.ts';
import { writeMessageTrace } from '../../../bench/explain/message-trace-file.ts';
import type { Ranking } from '../../../bench/explain/ranking.ts';
import { MessageTraces } from '../../../bench/explain/save.ts';
import type { Story } from '../../../bench/explain/story.ts';
import { parseBench } from '../../../bench/options.ts';
import type { SwarmConfig, SwarmPool } from '../../../loadgen/index.ts';
import type { TraceChunk } from '../../../loadgen/message-trace.ts';
import {
  lost,
  MessageScript,
  retransmitted,
  storedThenPulled,
  traceFacts,
} from '../../support/message-trace.ts';

const dir = mkdtempSync(join(tmpdir(), 'ackbench-explain-usage-'));
test.after(() => rmSync(dir, { recursive: true, force: true }));

/** Writes a trace as a run that started then would have. */
async function write(place: string, run: string, script: MessageScript, scenario: string) {
  const { header, blocks } = script.file({ scenario });
  const file = join(dir, place, `${run}.${scenario}.trace.gz`);
  await writeMessageTrace(file, header, blocks);
  return file;
}

/** Runs the command and takes what it prints. */
async function run(place: string, ...args: string[]) {
  const printed = { stdout: '', stderr: '' };
  const { stdout, stderr } = process;
  const writes = [stdout.write, stderr.write] as const;
  stdout.write = ((text: string) => (printed.stdout += text) !== '') as typeof stdout.write;
  stderr.write = ((text: string) => (printed.stderr += text) !== '') as typeof stderr.write;
  try {
    return { code: await explain(['--out', join(dir, place), ...args]), ...printed };
  } finally {
    [stdout.write, stderr.write] = writes;
  }
}

async function refusal(place: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(place, ...args);
  // Read after the call: what was printed before it ended.
  assert.is(code, 2);
  assert.is(stdout, '');
  return stderr;
}

test('the newest trace is meant, and of several loads the one that is named', async () => {
  await write('several', '2026-01-01T00-00-00-000Z-aaaaaaaa', lost(), 'older');
  await write('several', '2026-01-02T00-00-00-000Z-bbbbbbbb', lost(), 'newer');
  const newest = await run('several', '0', '1', '7');
  assert.match(newest.stdout, /^newer: 1000000->1000001 epoch 1 seq 7$/m);
  assert.match((await run('several', '0', '1', '7', '--scenario', 'older')).stdout, /^older: /);
  assert.match(
    await refusal('several', '0', '1', '7', '--scenario', 'other'),
    /--scenario other: no trace of it in .*, only of newer, older/,
  );
  await write('several', '2026-01-02T00-00-00-000Z-bbbbbbbb', retransmitted(), 'second');
  assert.match(
    await refusal('several', '0', '1', '7'),
    "several loads: add --scenario with one of 'newer', 'second'",
  );
});

test('of a range the first is told, and that there are more', async () => {
  await write('range', '2026-01-01T00-00-00-000Z-aaaaaaaa', lost(), 'one');
  const { stdout, stderr } = await run('range', 'lost 1000000->1000001 epoch 1 seq 7..9');
  assert.match(stdout, 'one: 1000000->1000001 epoch 1 seq 7\n');
  assert.match(stderr, 'this is the first of seq 7 … 9; name one to see another');
});

test('JSON has the story and the list as the text has', async () => {
  const file = await write('json', '2026-01-01T00-00-00-000Z-aaaaaaaa', storedThenPulled(), 'one');
  const story = JSON.parse((await run('json', '0', '1', '7', '--json')).stdout) as Story;
  assert.equal(
    [story.fate, story.latency.storedConfirmUs, story.receiverNumber],
    ['stored', 2000, 1],
  );
  const list = await run('elsewhere', '--trace', file, '--list', '3', '--json');
  assert.equal((JSON.parse(list.stdout) as Ranking).slowest.length, 1);
});

test('a message that is not there is told with those that are', async () => {
  await write('there', '2026-01-01T00-00-00-000Z-aaaaaaaa', retransmitted(), 'one');
  const refusals: [string[], string][] = [
    [['0', '1', '8'], 'the two have seq 7 … 7; `ackbench explain --list` shows some'],
    [['0', '1', '7', '--epoch', '5'], 'the two have epoch 1;'],
    [['0', '2', '1'], 'that user wrote to 1 user, 1000001 (seq to 7);'],
    [['1', '0', '1'], 'that user sent nothing;'],
    [['10', '1', '1'], 'no user 10: there are 10 users, 0 … 9, or by uid 1000000 … 1000009'],
  ];
  for (const [args, says] of refusals) assert.match(await refusal('there', ...args), says);
});

test('without a trace it says how to make one, and of a broken one what is wrong with it', async () => {
  assert.match(
    await refusal('nowhere', '0', '1', '7'),
    'no message trace there: `ackbench bench --scenario lossy --trace-messages` writes one',
  );
  const file = await write('broken', '2026-01-01T00-00-00-000Z-aaaaaaaa', retransmitted(), 'one');
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.subarray(0, bytes.length - 20));
  assert.match(
    await refusal('broken', '0', '1', '7'),
    /cut off: the end is missing; copy it again/,
  );
  writeFileSync(file, 'no gzip');
  assert.match(await refusal('broken', '--list'), 'is no message trace');
});

test('every mistake is listed at once', async () => {
  const said = await refusal(
    'nowhere',
    ...'12 x --nonsense --epoch 0 --trace none.gz --svg no/such/dir.svg'.split(' '),
  );
  for (const mistake of [
    'unknown flag --nonsense',
    '12 x: names no message',
    '--epoch 0: must be between 1 and',
    '--trace none.gz: no such file',
    '--svg no/such/dir.svg: its directory does not exist',
    'Run with --help to see all flags.',
  ]) {
    assert.match(said, mistake);
  }
  const both = await refusal('nowhere', ...'1 2 3 --list 0 --epoch 1 --svg a.svg'.split(' '));
  assert.match(both, '--list 0: must be between 1 and');
  assert.match(both, '--list: finds messages; leave out 1 2 3');
  assert.match(both, '--svg: draws one message');
  assert.match(both, '--epoch: belongs to one message');
  const epochs = await refusal('nowhere', '1->2 epoch 3 seq 4', '--epoch', '5');
  assert.match(epochs, '--epoch 5: the message is named with epoch 3');
});

test('bench refuses what it cannot trace, before the run', () => {
  const parsed = parseBench('--scenario offline-cost --trace-messages 12 --keep'.split(' '));
  const mistakes = (parsed as { mistakes: string[] }).mistakes.join('\n');
  assert.match(mistakes, '--trace-messages 12: must be between 1000 and');
  assert.match(mistakes, '--trace-messages: costs time per packet, and --keep compares runs');
  assert.match(mistakes, 'only scenarios of kind load and trace');
});

/** A pool of workers that hold these traces. */
function poolOf(scripts: readonly MessageScript[]): Pick<SwarmPool, 'ask'> {
  const ask = async (_: string, { from, count }: { from: number; count: number }) =>
    scripts.map(({ trace }): TraceChunk => trace.chunk(from, count));
  return { ask } as unknown as Pick<SwarmPool, 'ask'>;
}

test('saving counts what was overwritten, and two loads of one name have two files', async () => {
  const directory = join(dir, 'saved');
  const traces = new MessageTraces({
    eventsMax: 4,
    directory,
    stem: 'run',
    run: { startedAt: '2026-01-02T03:04:05.678Z', sha: 'abcdef01' },
  });
  const full = new MessageScript(4);
  for (let at = 0; at < 10; at++) full.submitted(at);
  const configs = [0, 10].map((from) => ({ uidBase: 1_000_000, from, to: from + 10 }));
  const save = (configHash: string, variant: string | null = null) =>
    traces.save(poolOf([full, lost()]), configs as SwarmConfig[], {
      ...traceFacts({ scenario: 'Twice & again', variant }),
      configHash,
    });
  const file = 'run.twice-again.trace.gz';
  // The oldest of the four is of 6 ms after the first was due, a second into the load.
  assert.equal(await save('a'), { file, events: 12, overwritten: 6, wholeFromS: 1.006 });
  assert.is((await save('a'))?.file, file, 'a second try replaces the first');
  assert.is((await save('b'))?.file, 'run.twice-again-2.trace.gz');
  assert.is((await save('b', 'w1'))?.file, 'run.twice-again-w1.trace.gz');
  assert.is(readdirSync(directory).length, 3);
  assert.match(
    (await run('saved', '0', '1', '7', '--scenario', 'Twice & again w1')).stdout,
    'LOST',
  );
  writeFileSync(join(dir, 'a-file'), '');
  const nowhere = new MessageTraces({
    eventsMax: 4,
    directory: join(dir, 'a-file'),
    stem: 'run',
    run: { startedAt: '', sha: '' },
  });
  const facts = { ...traceFacts(), configHash: 'a' };
  assert.is(
    await nowhere.save(poolOf([lost()]), configs.slice(0, 1) as SwarmConfig[], facts),
    null,
  );
  assert.match(nowhere.failures[0] as string, 'by-hand: cannot write the trace: ');
});

test.run();
