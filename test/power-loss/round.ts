/**
 * One seeded round: a server that stores messages, dies, and starts again, some times over.
 *
 *     life 1 ──SIGKILL──┬─ the power stays: the file as the page cache has it ──> life 2 on it
 *                       └─ the power goes: what was synced, and by mood some of the rest ──> life 2
 *
 * After every life the journal of the disk is also cut at places of its own choice, each a power
 * loss at that moment; the image must open, hold what had been confirmed by then, and take writes.
 * Each restarted server must hold it too, asked over the wire.
 *
 * The seed decides workload, crash, cuts and images; not the timing of the processes, so a failing
 * seed is likely, not certain, to fail again.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mix, Random } from '../../sim/random.ts';
import { STATUS } from '../support/stranger.ts';
import { DiskModel, type Mood, MOODS, parseJournal, type PowerLoss } from './disk-model.ts';
import { DiskShim, type DiskState, ERRNO, FOR_EVER } from './disk-shim.ts';
import type { ImageReport } from './image-auditor.ts';
import { InboxBook } from './inbox-book.ts';
import { endWithTester, RUNTIME, StartFailed, type StoreMutant, Victim } from './victim.ts';
import { pullEverything, Stalled, Workload } from './workload.ts';

const AUDITOR = join(import.meta.dirname, 'image-auditor.ts');
const CUTS_PER_LIFE = 6;
/** What may happen to the disk in a life; it is over when enough messages have been refused. */
const FAULTS: readonly (DiskState & { name: string })[] = [
  { name: 'full', writeErrno: ERRNO.ENOSPC, writeCount: FOR_EVER },
  { name: 'write EIO', writeErrno: ERRNO.EIO, writeCount: 1 },
  { name: 'short write', shortCount: 1 },
  { name: 'sync EIO', syncErrno: ERRNO.EIO, syncCount: 1 },
  { name: 'every sync EIO', syncErrno: ERRNO.EIO, syncCount: FOR_EVER },
  { name: 'root page EIO', metaErrno: ERRNO.EIO, metaCount: 1 },
];
const FAULT_SHARE = 0.4;
const REFUSED_ENOUGH = 20;
/** Where Node keeps it by default: halves the start of a process. */
const COMPILE_CACHE = join(tmpdir(), 'node-compile-cache');

export interface RoundOptions {
  readonly seed: number;
  readonly libraryPath: string;
  /** Servers that are started and killed, one after the other. */
  readonly lives: number;
  /** Made, and removed at the end. */
  readonly directory: string;
  readonly mutant?: StoreMutant | undefined;
}

export interface RoundReport {
  readonly seed: number;
  readonly policy: 'relay' | 'durable';
  /** How each life ended: `killed`, or the mood of its power loss; before it a fault of the disk. */
  readonly ends: string[];
  confirmed: number;
  /** Power losses looked at, and the unsynced writes in all of them by their fate. */
  losses: number;
  kept: number;
  torn: number;
  discarded: number;
  /** Rows found after them, in all. */
  recovered: number;
  /** A line each; none in a round that passed. */
  readonly breaches: string[];
}

/** A disk between two power losses: its shim, its model, and the directory of the store on it. */
class Era {
  readonly shim: DiskShim;
  readonly dataDir: string;
  readonly model: DiskModel;
  /** How much of the journal the model has. */
  private applied = 0;

  /** `loss` is how the era before ended. */
  constructor(libraryPath: string, directory: string, loss: PowerLoss | null, random: Random) {
    mkdirSync(directory, { recursive: true });
    this.dataDir = join(directory, 'data');
    this.shim = new DiskShim(libraryPath, directory);
    this.model = new DiskModel(loss?.isNamed === true ? loss.image : null);
    layOut(this.dataDir, loss, random);
  }

  /**
   * A killed process may have left part of a record at the end; the next one appends behind it. Call
   * it between two processes.
   */
  dropPartialRecord(): void {
    if (!existsSync(this.shim.journalPath)) return;
    truncateSync(this.shim.journalPath, this.places().at(-1) ?? this.applied);
  }

  /** The places between records from where the model is to the end of the journal. */
  places(): number[] {
    const rest = readFileSync(this.shim.journalPath).subarray(this.applied);
    return parseJournal(rest, this.applied).map(({ end }) => end);
  }

  /** Takes the model on to a place, forwards only. */
  advance(place: number): void {
    const bytes = readFileSync(this.shim.journalPath).subarray(this.applied, place);
    for (const record of parseJournal(bytes, this.applied)) this.model.apply(record);
    this.applied = place;
  }
}

/** The files of a store as a power loss leaves them: the image, and what lmdb need not have synced. */
export function layOut(dataDir: string, loss: PowerLoss | null, random: Random): void {
  mkdirSync(dataDir, { recursive: true });
  if (loss !== null) {
    writeFileSync(join(dataDir, loss.isNamed ? 'data.mdb' : 'data.mdb.new'), loss.image);
  }
  // Never synced by anybody: gone, empty, or anything of the right size.
  const lock = random.int(0, 3);
  if (lock === 1) writeFileSync(join(dataDir, 'lock.mdb'), '');
  if (lock === 2) writeFileSync(join(dataDir, 'lock.mdb'), Buffer.alloc(8272));
  if (lock === 3) writeFileSync(join(dataDir, 'lock.mdb'), Buffer.alloc(8272, 'junk'));
  if (random.chance(0.5)) writeFileSync(join(dataDir, 'ackbench.lock'), '');
}

export async function runRound(options: RoundOptions): Promise<RoundReport> {
  const round = new Round(options);
  try {
    await round.run();
  } finally {
    round.end();
  }
  return round.report;
}

class Round {
  readonly report: RoundReport;
  private readonly options: RoundOptions;
  private readonly random: Random;
  private readonly book = new InboxBook();
  private readonly seqs = new Map<number, number>();
  private era: Era;
  private eras = 0;

  constructor(options: RoundOptions) {
    this.options = options;
    // Small seeds begin alike in the generator; a multiplication sets them apart.
    this.random = new Random(options.seed);
    this.report = {
      seed: options.seed,
      policy: options.seed % 2 === 0 ? 'relay' : 'durable',
      ends: [],
      confirmed: 0,
      losses: 0,
      kept: 0,
      torn: 0,
      discarded: 0,
      recovered: 0,
      breaches: [],
    };
    this.era = this.newEra(null);
  }

  async run(): Promise<void> {
    for (let life = 1; life <= this.options.lives && this.report.breaches.length === 0; life++) {
      if (!(await this.live(life))) return;
      await this.audit(life);
    }
  }

  end(): void {
    this.era.shim.close();
    rmSync(this.options.directory, { recursive: true, force: true });
  }

  private newEra(loss: PowerLoss | null): Era {
    const directory = join(this.options.directory, `era-${++this.eras}`);
    return new Era(this.options.libraryPath, directory, loss, this.random);
  }

  /**
   * What the seed decides about a life, drawn before it begins: how the life really goes depends on
   * when the server answers, and must not change the plan of the next.
   */
  private planOf(life: number) {
    const random = new Random(mix(this.options.seed, life));
    const isFaulty = random.chance(FAULT_SHARE);
    const fault = FAULTS[random.int(0, FAULTS.length - 1)];
    return {
      syncDelayUs: random.int(1, 12) * 1000,
      fault: isFaulty ? fault : undefined,
      goal: random.int(20, 200),
      lingerMs: random.int(0, 30),
      isKilled: random.chance(0.35),
      mood: MOODS[random.int(0, MOODS.length - 1)] as Mood,
    };
  }

  /** Starts a server, checks what it holds, gives it work and kills it. False: it did not start. */
  private async live(life: number): Promise<boolean> {
    const { report, random, book, era } = this;
    // A slow disk: most of the time something is on its way to it.
    era.shim.heal();
    const { syncDelayUs, fault, goal, lingerMs } = this.planOf(life);
    era.shim.set({ syncDelayUs });
    era.dropPartialRecord();
    const { policy } = report;
    const { mutant } = this.options;
    const { shim: disk, dataDir } = era;
    let victim: Victim;
    try {
      victim = await Victim.start({ dataDir, policy, disk, mutant });
    } catch (error) {
      if (!(error instanceof StartFailed)) throw error;
      report.breaches.push(`life ${life}: ${error.message}`);
      return false;
    }
    const workload = new Workload({ victim, book, disk, random, policy, seqs: this.seqs });
    try {
      if (life > 1) {
        const rows = await pullEverything(victim);
        report.recovered += rows.length;
        this.note(`life ${life}, restarted`, book.audit(rows, disk.place()));
      }
      await workload.start();
      await workload.until(({ stored }) => stored >= goal);
      if (fault !== undefined) {
        const { name, ...state } = fault;
        era.shim.set(state);
        // A store that stores on, wrongly or because the fault is over, need not refuse anything.
        await workload.until(({ stored, refused }) => {
          return (
            (refused.get(STATUS.storeFailed) ?? 0) >= REFUSED_ENOUGH || stored >= 2 * goal + 100
          );
        });
        report.ends.push(name);
      }
      await new Promise((resolve) => setTimeout(resolve, lingerMs));
      await victim.kill();
      await workload.stop();
      for (const status of workload.answers.refused.keys()) {
        if (status === STATUS.storeFailed && fault !== undefined) continue;
        report.breaches.push(`life ${life}: a message was refused with status ${status}`);
      }
    } catch (error) {
      if (!(error instanceof Stalled)) throw error;
      report.breaches.push(`life ${life}: ${error.message}`);
    } finally {
      await victim.kill();
      await workload.stop();
    }
    report.confirmed = book.confirmed;
    return true;
  }

  /** Power losses at places of the life that just ended, and the one that it really ends with. */
  private async audit(life: number): Promise<void> {
    const { report, random, book, era } = this;
    const places = era.places();
    const last = places.at(-1) ?? 0;
    // Half of them where a user has just been told something, half anywhere.
    const told = book.places
      .filter((place) => place > (places[0] ?? 0) && place <= last)
      // A file grows by pieces while a record is written: the place may be inside of one.
      .map((place) => places.find((end) => end >= place) as number);
    const cuts = Array.from({ length: CUTS_PER_LIFE - 1 }, (_, i) => {
      const from = i % 2 === 0 && told.length > 0 ? told : places;
      return from[random.int(0, from.length - 1)] as number;
    });
    const images: { place: number; label: string; path: string }[] = [];
    for (const place of [...cuts.sort((a, b) => a - b), last]) {
      era.advance(place);
      const mood = MOODS[random.int(0, MOODS.length - 1)] as Mood;
      const loss = this.count(era.model.losePower(mood, random));
      const path = join(this.options.directory, `life-${life}-cut-${images.length}`);
      layOut(path, loss, random);
      images.push({ place, label: `life ${life}, power lost at ${place}, ${mood}`, path });
    }
    this.checkShim(life);
    const reports = await auditImages(images.map(({ path }) => path));
    for (const [i, { place, label, path }] of images.entries()) {
      const { rows, error } = reports[i] as ImageReport;
      report.recovered += rows.length;
      if (error !== '') report.breaches.push(`${label}: ${error}`);
      else this.note(label, book.audit(rows, place));
      rmSync(path, { recursive: true });
    }
    const { isKilled, mood } = this.planOf(life);
    if (isKilled) {
      report.ends.push('killed');
      return;
    }
    report.ends.push(mood);
    const loss = this.count(era.model.losePower(mood, random));
    book.rebase(last);
    era.shim.close();
    this.era = this.newEra(loss);
  }

  /** Everything that went into the file went through the journal, else the images are fiction. */
  private checkShim(life: number): void {
    const file = readFileSync(join(this.era.dataDir, 'data.mdb'));
    const { cached } = this.era.model;
    // The server was killed: its last write may be in the journal and not in the file.
    const isSame = cached.equals(file) || this.era.model.cachedBeforeLastWrite.equals(file);
    if (!isSame) throw new Error(`life ${life}: the journal does not give the file that is there`);
  }

  private count(loss: PowerLoss): PowerLoss {
    this.report.losses++;
    this.report.kept += loss.kept;
    this.report.torn += loss.torn;
    this.report.discarded += loss.discarded;
    return loss;
  }

  private note(label: string, breaches: readonly string[]): void {
    for (const breach of breaches) this.report.breaches.push(`${label}: ${breach}`);
  }
}

/** A report per directory; one that took its process with it says so. */
export async function auditImages(paths: readonly string[]): Promise<ImageReport[]> {
  const reports: ImageReport[] = [];
  while (reports.length < paths.length) {
    const child = spawn(RUNTIME, [AUDITOR, ...paths.slice(reports.length)], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    });
    endWithTester(child);
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const end = await new Promise<string>((resolve) => {
      child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    for (const line of output.split('\n').slice(0, -1)) {
      reports.push(JSON.parse(line) as ImageReport);
    }
    if (reports.length < paths.length) {
      reports.push({ rows: [], error: `the process ended with ${end} ${errors.trim()}`.trim() });
    }
  }
  return reports;
}
