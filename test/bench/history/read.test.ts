/** What of a history is looked at: whole lines, of one machine, in the order of time. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseLines, parseHistory } from '../../../bench/history/read.ts';
import { HERE, line } from '../../support/history.ts';

const otherMachine = { cpuModel: 'Another CPU', cores: 8, node: 'v22' };
const all = { wanted: null, here: HERE, last: null };

test('lines that are none are skipped and counted, blank ones are not even that', () => {
  const good = JSON.stringify(line(1));
  const bad = [
    '{"schema":1,"startedAt":"2025-01-0',
    'null',
    '[]',
    '"text"',
    JSON.stringify({ ...line(1), schema: 2 }),
    JSON.stringify({ ...line(1), startedAt: 'yesterday' }),
    JSON.stringify({ ...line(1), sha: 7 }),
    JSON.stringify({ ...line(1), dirty: 'no' }),
    JSON.stringify({ ...line(1), machine: 'a cpu' }),
    JSON.stringify({ ...line(1), machine: null }),
    JSON.stringify({ ...line(1), metrics: { 'steady.serverCpu': 'fast' } }),
    JSON.stringify({ ...line(1), metrics: { 'steady.serverCpu': 0 } }),
    JSON.stringify({ ...line(1), metrics: { 'steady.serverCpu': null } }),
    JSON.stringify({ ...line(1), loads: null }),
    JSON.stringify({ ...line(1), anchor: null }),
    JSON.stringify({ ...line(1), anchor: { sha: 'x' } }),
  ];
  const { lines, corrupt } = parseHistory([good, ...bad, '', '  ', good, ''].join('\n'));
  assert.equal(lines, [line(1), line(1)]);
  assert.is(corrupt, bad.length);
});

test('lines are in the order in which they were measured, also when files were joined', () => {
  const text = [3, 1, 2].map((at) => JSON.stringify(line(at))).join('\n');
  assert.equal(parseHistory(text).lines, [line(1), line(2), line(3)]);
});

test('lines of other machines are left out and counted', () => {
  const lines = [line(1), line(2, { machine: otherMachine }), line(3)];
  assert.equal(chooseLines(lines, all), { machine: HERE, lines: [line(1), line(3)], others: 1 });
});

test('another runtime is another machine', () => {
  const newer = line(2, { machine: { ...line(1).machine, node: 'v24' } });
  assert.equal(chooseLines([line(1), newer], all), { machine: HERE, lines: [line(1)], others: 1 });
});

test('--machine names another by a part of its name, and only one', () => {
  const lines = [line(1), line(2, { machine: otherMachine })];
  const chosen = chooseLines(lines, { ...all, wanted: 'another' });
  assert.equal(chosen, {
    machine: 'Another CPU, 8 cores, v22',
    lines: [lines[1]],
    others: 1,
  });
  assert.match(String(chooseLines(lines, { ...all, wanted: 'cpu' })), 'is said of 2');
  const none = String(chooseLines(lines, { ...all, wanted: 'abacus' }));
  assert.match(none, 'no run of a machine like abacus');
  assert.match(none, `${HERE}; Another CPU, 8 cores, v22`);
  assert.match(String(chooseLines(lines, { ...all, here: 'x' })), 'no run of this machine (x)');
});

test('--last keeps the newest runs of the machine', () => {
  const lines = [line(1), line(2), line(3), line(4, { machine: otherMachine })];
  const chosen = chooseLines(lines, { ...all, last: 2 });
  assert.equal(chosen, { machine: HERE, lines: [line(2), line(3)], others: 1 });
});

test.run();
