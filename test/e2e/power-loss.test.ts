/**
 * The real server on a disk that loses power and fails (test/power-loss/): nothing that it confirmed
 * is lost, and nothing is confirmed that is not on the disk. Planted bugs show that this can fail.
 */
// deadline: 180s
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Status } from '../../protocol/index.ts';
import { DiskModel, Mood, MOODS, parseJournal, RecordKind } from '../power-loss/disk-model.ts';
import { buildShim, DiskShim, ERRNO, FOR_EVER } from '../power-loss/disk-shim.ts';
import type { FaultReport } from '../power-loss/fault-runner.ts';
import { digestOf, InboxBook, OFFLINE, ONLINE as B } from '../power-loss/inbox-book.ts';
import { auditImages, layOut, runRound } from '../power-loss/round.ts';
import { RUNTIME, Victim } from '../power-loss/victim.ts';
import { Random } from '../../sim/random.ts';
import { msgR, STATUS } from '../support/stranger.ts';

const A = 1001;
/** Offline in every test. */
const C = OFFLINE[0] as number;
const { Ok, StoreFailed } = Status;

const scratch = mkdtempSync(join(tmpdir(), 'ackbench-power-loss-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const test = suite('power loss');
const shim = buildShim(scratch);
const libraryPath = 'path' in shim ? shim.path : '';
/** For what needs the simulated disk. */
const diskTest: (name: string, run: () => Promise<void>) => void =
  'path' in shim ? test : test.skip;
if ('why' in shim) {
  console.log(`SKIPPED: power losses and failing disks were not tested: ${shim.why}`);
}

let directories = 0;
function newDirectory(): string {
  const path = join(scratch, String(++directories));
  mkdirSync(path);
  return path;
}

test('the book tells lost, resurrected, foreign, damaged and doubled messages', () => {
  const book = new InboxBook();
  const content = Buffer.from('content');
  for (const seq of [1, 2, 3]) book.send(C, seq, content);
  const row = (seq: number): object => ({ receiver: C, sender: A, seq, digest: digestOf(content) });
  const audit = (rows: object[], place: number): string[] => book.audit(rows as never, place);
  book.stored(C, 1, 100);
  assert.equal(audit([], 99), [], 'not confirmed yet');
  assert.equal(audit([row(1)], 99), [], 'stored before it is confirmed');
  assert.equal(audit([], 100), [`${C}/1 was confirmed and is lost`]);
  assert.equal(audit([row(1), row(1)], 100), [`${C}/1 is there twice`]);
  assert.equal(audit([row(1), row(9)], 100), [`${C}/9 of ${A} was never sent`]);
  const damaged = { ...row(1), digest: digestOf(Buffer.from('other')) };
  assert.equal(audit([damaged], 100), [`${C}/1 has another content`]);
  book.mayGo(C, 1, 200);
  assert.equal(audit([], 200), [], 'its deletion is on the way');
  book.gone(C, 1, 300);
  assert.equal(audit([row(1)], 299), []);
  assert.equal(audit([row(1)], 300), [`${C}/1 was deleted and is back`]);
});

diskTest('loses no confirmed message when the power goes at any moment', async () => {
  for (const seed of [1, 2]) {
    const report = await runRound({ seed, lives: 2, libraryPath, directory: newDirectory() });
    assert.equal(report.breaches, [], `seed ${seed}`);
    assert.ok(report.confirmed >= 20 && report.losses >= 12 && report.recovered > 0);
    assert.ok(report.kept + report.torn + report.discarded > 0, 'something was on its way');
  }
});

// The others are for the loop, test/power-loss/main.ts.
for (const mutant of ['no-sync', 'overlapping-sync'] as const) {
  diskTest(`finds the planted bug ${mutant}`, async () => {
    const breaches: string[] = [];
    // Whether two syncs overlap in a life is up to the machine: one is enough, many may be needed.
    for (let seed = 1; seed <= 20 && breaches.length === 0; seed++) {
      const options = { seed, lives: 1, libraryPath, directory: newDirectory(), mutant };
      breaches.push(...(await runRound(options)).breaches);
    }
    assert.ok(breaches.length > 0);
  });
}

/** A server on a disk of its own, and what the disk may hold when the power goes. */
class Rig {
  readonly disk: DiskShim;
  readonly dataDir: string;
  private victim: Victim | null = null;

  constructor() {
    const directory = newDirectory();
    this.disk = new DiskShim(libraryPath, directory);
    this.dataDir = join(directory, 'data');
  }

  async start(): Promise<Victim> {
    const { disk, dataDir } = this;
    this.victim = await Victim.start({ dataDir, disk, policy: 'relay' });
    return this.victim;
  }

  /** The seqs that C would find after a power loss now, per mood. Throws when one does not open. */
  async afterPowerLoss(moods: readonly Mood[] = [Mood.Nothing]): Promise<number[][]> {
    const model = new DiskModel(null);
    for (const record of parseJournal(readFileSync(this.disk.journalPath))) model.apply(record);
    const paths = moods.map((mood) => {
      const path = newDirectory();
      layOut(path, model.losePower(mood, new Random(1)), new Random(1));
      return path;
    });
    return (await auditImages(paths)).map(({ rows, error }) => {
      assert.is(error, '');
      const ours = rows.filter(({ receiver }) => receiver === C);
      return ours.map(({ seq }) => seq).sort((a, b) => a - b);
    });
  }

  /** Waits until the journal ends as `isIt` says. */
  async journalEnds(isIt: (kinds: RecordKind[]) => boolean): Promise<void> {
    const begin = this.disk.place();
    for (;;) {
      const rest = readFileSync(this.disk.journalPath).subarray(begin);
      if (isIt(parseJournal(rest, begin).map(({ kind }) => kind))) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async end(): Promise<void> {
    await this.victim?.kill();
    this.disk.close();
  }
}

async function withRig(use: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = new Rig();
  await use(rig).finally(() => rig.end());
}

diskTest('answers a repeat stored only when the row that it found is on the disk', async () => {
  await withRig(async (rig) => {
    const first = await rig.start();
    const a = await first.connect(A);
    rig.disk.set({ syncDelayUs: 500_000 });
    a.send(msgR({ receiver: C, seq: 1 }));
    // Killed while the root page is in the page cache and not yet on the disk.
    const { Synced, Write } = RecordKind;
    await rig.journalEnds((kinds) => kinds.at(-2) === Synced && kinds.at(-1) === Write);
    await first.kill();
    assert.equal(await rig.afterPowerLoss(), [[]], 'it is not on the disk');
    rig.disk.set({ syncDelayUs: 0 });

    const second = await rig.start();
    const again = await second.connect(A);
    assert.is(await again.confirm({ receiver: C, seq: 1, flags: 1 }), 'stored');
    await second.kill();
    assert.equal(await rig.afterPowerLoss(), [[1]]);
  });
});

diskTest('confirms nothing that is not on a slow, full or broken disk, and relays on', async () => {
  await withRig(async (rig) => {
    const victim = await rig.start();
    const a = await victim.connect(A);
    const b = await victim.connect(B);
    b.onPacket = (packet) => {
      if (packet.name !== 'msg:N') return;
      const bytes = Buffer.alloc(20);
      bytes.writeUInt8(0x11, 0);
      bytes.writeUInt32LE(packet.epoch, 4);
      bytes.writeUInt32LE(packet.seq, 8);
      bytes.writeBigUInt64LE(packet.uid, 12);
      b.send(bytes);
    };
    const relays = async (seq: number): Promise<void> => {
      assert.is(await a.confirm({ receiver: B, seq }), 'delivered');
    };
    const refused = async (seq: number): Promise<void> => {
      assert.is((await a.submit({ receiver: C, seq })).status, STATUS.storeFailed);
    };
    const ready = async (): Promise<number> => (await victim.ask(A, '/readyz')).status;

    rig.disk.set({ syncDelayUs: 1_000_000 });
    a.send(msgR({ receiver: C, seq: 1 }));
    await relays(1);
    assert.is(a.received.get('ack:N'), 1, 'the other one is not there yet');
    await a.next('ack:N', ({ uid }) => uid === BigInt(C));
    rig.disk.set({ syncDelayUs: 0 });

    rig.disk.set({ writeErrno: ERRNO.ENOSPC, writeCount: FOR_EVER });
    for (const seq of [2, 3]) await refused(seq);
    await relays(2);
    assert.is(await ready(), 200);
    rig.disk.heal();
    for (const seq of [2, 4]) assert.is(await a.confirm({ receiver: C, seq }), 'stored');

    rig.disk.set({ syncErrno: ERRNO.EIO, syncCount: 1 });
    for (const seq of [5, 6]) await refused(seq);
    assert.is(rig.disk.get('failedSyncs'), 1, 'the second was not even tried');
    await relays(3);
    assert.is(await ready(), 503);
    assert.match((await victim.ask(A, '/readyz')).body, 'store-failed');
    const { body } = await victim.ask(A, '/metrics');
    assert.match(body, /^ackbench_store_commit_failures_total 3$/m);
    assert.match(victim.log, 'the store fails every operation until the server is restarted');
    const storedAcks = a.unread.filter((packet) => packet.name === 'ack:N');
    assert.equal(storedAcks, [], 'no ack:N but those that were waited for');
    await victim.kill();

    for (const [i, found] of (await rig.afterPowerLoss(MOODS)).entries()) {
      const isThere = [1, 2, 4].every((seq) => found.includes(seq));
      assert.ok(isThere, `${MOODS[i]}: ${found.join(' ')}`);
    }
    const again = await (await rig.start()).connect(A);
    assert.is(await again.confirm({ receiver: C, seq: 5, flags: 1 }), 'stored');
    assert.equal(await rig.afterPowerLoss(), [[1, 2, 4, 5]]);
  });
});

/** What the store does on each fault; `goesOn` when the next commit is tried. */
const FAULTS: readonly { name: string; fault: object; goesOn: boolean }[] = [
  {
    name: 'a write without space',
    fault: { writeErrno: ERRNO.ENOSPC, writeCount: 1 },
    goesOn: true,
  },
  { name: 'a write with EIO', fault: { writeErrno: ERRNO.EIO, writeCount: 1 }, goesOn: false },
  { name: 'a write cut short', fault: { shortCount: 1 }, goesOn: false },
  { name: 'a sync with EIO', fault: { syncErrno: ERRNO.EIO, syncCount: 1 }, goesOn: false },
  { name: 'a sync without space', fault: { syncErrno: ERRNO.ENOSPC, syncCount: 1 }, goesOn: false },
  {
    name: 'every sync with EIO',
    fault: { syncErrno: ERRNO.EIO, syncCount: FOR_EVER },
    goesOn: false,
  },
  { name: 'a root page with EIO', fault: { metaErrno: ERRNO.EIO, metaCount: 1 }, goesOn: false },
];

diskTest('stops for good on every failure that may be one of a sync, and on no other', async () => {
  const directory = newDirectory();
  const disk = new DiskShim(libraryPath, directory);
  const runner = join(import.meta.dirname, '../power-loss/fault-runner.ts');
  const faults = FAULTS.map(({ fault }) => JSON.stringify(fault));
  const { stdout, signal } = spawnSync(RUNTIME, [runner, libraryPath, directory, ...faults], {
    env: { ...process.env, ...disk.environment },
    encoding: 'utf8',
    timeout: 60_000,
  });
  disk.close();
  assert.is(signal, null);
  const reports = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as FaultReport);
  for (const [i, { name, goesOn }] of FAULTS.entries()) {
    const { before, during, after, page, isStopped, errors } = reports[i] as FaultReport;
    assert.equal(before, [Ok, Ok, Ok], name);
    assert.equal(
      during,
      goesOn ? [StoreFailed, Ok, Ok] : [StoreFailed, StoreFailed, StoreFailed],
      name,
    );
    assert.equal(after, goesOn ? [Ok, Ok, Ok] : [StoreFailed, StoreFailed, StoreFailed], name);
    assert.is(page, goesOn ? Ok : StoreFailed, name);
    assert.is(isStopped, !goesOn, name);
    assert.is(errors.length, goesOn ? 1 : 2, name);
  }
});

test.run();
