/**
 * The coverage-guided loop over one target.
 *
 *     corpus ──pick──> mutate ──> batch ──run──> new coverage? ──halve and run again──> corpus
 *                                   │
 *                                   └── threw: crash, made smaller, written down
 *
 * Bounds: corpus inputs and bytes, crashes kept, the bytes of an input, and the time; a run that
 * takes longer than HANG_MS in one turn of the event loop is ended by the watchdog.
 */
import { Random } from '../../sim/random.ts';
import { readCorpus, writeCorpus, writeCrash } from './corpus.ts';
import { CoverageMap, type CoverageSource, type Reached } from './coverage.ts';
import { pick } from './mutate.ts';
import { Finding, type Target } from './target.ts';

export interface LoopOptions {
  readonly name: string;
  readonly seed: number;
  /** Mutate for so long; the corpus is replayed wholly before, however long that takes. */
  readonly seconds: number;
  /** Write what was found into the corpus at the end, made as small as its coverage allows. */
  readonly isKeeping: boolean;
  readonly coverage: CoverageSource;
  /** Called before each input, so that a hang has a culprit. */
  onInput(input: Buffer): void;
  isStopped(): boolean;
}

interface Crash {
  readonly message: string;
  /** Null when there were too many to write another. */
  readonly file: string | null;
  readonly description: string;
}

export interface LoopResult {
  readonly name: string;
  readonly executions: number;
  readonly elapsedS: number;
  readonly replayed: number;
  readonly corpusInputs: number;
  readonly corpusBytes: number;
  readonly reached: Reached;
  /** Small numbers that the target saw, see `Target.run`. */
  readonly seen: number;
  readonly note: string;
  readonly crashes: readonly Crash[];
}

const CORPUS_MAX_INPUTS = 4000;
const CORPUS_MAX_BYTES = 4 * 2 ** 20;
const CRASHES_MAX = 10;
const SHRINK_RUNS_MAX = 300;
const SHRINK_MS_MAX = 5000;
/** New inputs are tried more often than old ones. */
const RECENT_SHARE = 0.5;
const RECENT = 16;

/** What went wrong, without what differs from run to run: two crashes of one cause are one. */
function signatureOf(error: Error): string {
  const frame = /^\s+at .*?([\w-]+\.ts:\d+)/m.exec(error.stack ?? '')?.[1] ?? '';
  const message = error.message.split('\n', 1)[0] as string;
  return `${error.name}: ${message.replace(/\d+/g, 'N')} ${error instanceof Finding ? '' : frame}`;
}

/** A turn of the event loop, in which signals are heard: targets without IO only await microtasks. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class Loop {
  private readonly target: Target;
  private readonly options: LoopOptions;
  private readonly random: Random;
  private readonly map: CoverageMap;
  private readonly seen = new Set<number>();
  private readonly fresh = new Set<number>();
  private readonly corpus: Buffer[] = [];
  private corpusBytes = 0;
  private executions = 0;
  private readonly crashes = new Map<string, Crash>();

  constructor(target: Target, options: LoopOptions) {
    this.target = target;
    this.options = options;
    this.random = new Random(options.seed);
    this.map = new CoverageMap(target.sources);
  }

  async run(): Promise<LoopResult> {
    const { options, target } = this;
    const startedMs = performance.now();
    this.map.add(await options.coverage.take()); // what importing and starting ran
    for (const input of [...target.seeds, ...readCorpus(options.name)]) {
      if (options.isStopped()) break;
      await this.execute(input);
      this.keep(input);
      await breathe();
    }
    this.map.add(await options.coverage.take());
    const replayed = this.executions;
    const isReplayed = !options.isStopped();
    const endMs = performance.now() + options.seconds * 1000;
    while (performance.now() < endMs && !options.isStopped()) {
      const batch = Array.from({ length: target.batch }, () => this.mutant());
      for (const input of batch) if (await this.execute(input)) this.keep(input);
      await this.keepThoseWithNews(batch);
      await breathe();
    }
    const elapsedS = (performance.now() - startedMs) / 1000;
    const executions = this.executions;
    const reached = this.map.reached();
    // Interrupted while it replayed: what it holds is a part of the corpus, and no better one.
    if (options.isKeeping && isReplayed) writeCorpus(options.name, await this.distilled());
    return {
      name: options.name,
      executions,
      elapsedS,
      replayed,
      corpusInputs: this.corpus.length,
      corpusBytes: this.corpusBytes,
      reached,
      seen: this.seen.size,
      note: target.note?.() ?? '',
      crashes: [...this.crashes.values()],
    };
  }

  private mutant(): Buffer {
    const { random, corpus } = this;
    const { dictionary, maxBytes, mutate } = this.target;
    const from = random.chance(RECENT_SHARE) ? Math.max(0, corpus.length - RECENT) : 0;
    const input = corpus[random.int(from, Math.max(0, corpus.length - 1))] ?? Buffer.alloc(0);
    const other = corpus.length > 0 ? pick(random, corpus) : input;
    return mutate(input, { random, other, dictionary, maxBytes });
  }

  /** Runs an input; true when the target saw something for the first time. */
  private async execute(input: Buffer): Promise<boolean> {
    this.options.onInput(input);
    this.executions++;
    this.fresh.clear();
    try {
      // Awaiting what is no promise would cost a turn of the microtask queue for each input.
      const running = this.target.run(input, this.fresh);
      if (running !== undefined) await running;
    } catch (error) {
      await this.onCrash(input, error as Error);
      return false;
    }
    const before = this.seen.size;
    for (const number of this.fresh) this.seen.add(number);
    return this.seen.size > before;
  }

  /** Halves a batch that reached new code until it is clear which inputs did. */
  private async keepThoseWithNews(batch: readonly Buffer[]): Promise<void> {
    const ran = await this.options.coverage.take();
    if (!this.map.hasNews(ran)) return;
    if (batch.length === 1) {
      this.keep(batch[0] as Buffer);
    } else {
      const middle = batch.length >> 1;
      for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
        if (this.options.isStopped()) return;
        for (const input of half) await this.execute(input);
        await this.keepThoseWithNews(half);
      }
    }
    // Also what no input reaches again: another time, another state of the process.
    this.map.add(ran);
  }

  private keep(input: Buffer): void {
    if (this.corpus.length >= CORPUS_MAX_INPUTS) return;
    if (this.corpusBytes + input.length > CORPUS_MAX_BYTES) return;
    this.corpus.push(input);
    this.corpusBytes += input.length;
  }

  /** The inputs, short ones first, that each add something to those before. */
  private async distilled(): Promise<Buffer[]> {
    const { coverage } = this.options;
    const map = new CoverageMap(this.target.sources);
    const seen = new Set<number>();
    const seeds = new Set(this.target.seeds.map((seed) => seed.toString('latin1')));
    const ordered = [...this.corpus].sort((a, b) => a.length - b.length);
    const chosen: Buffer[] = [];
    await coverage.take();
    for (const isSeedTurn of [true, false]) {
      for (const input of ordered) {
        // Seeds are replayed anyway: what they reach needs no file.
        if (seeds.has(input.toString('latin1')) !== isSeedTurn) continue;
        const before = seen.size;
        await this.execute(input);
        for (const number of this.fresh) seen.add(number);
        const isNew = map.add(await coverage.take()) || seen.size > before;
        if (isNew && !isSeedTurn) chosen.push(input);
      }
    }
    return chosen;
  }

  private async onCrash(input: Buffer, error: Error): Promise<void> {
    const signature = signatureOf(error);
    if (this.crashes.has(signature) || this.crashes.size >= CRASHES_MAX) return;
    this.crashes.set(signature, { message: '', file: null, description: '' }); // while shrinking
    const small = await this.shrunk(input, signature);
    const description = this.target.describe(small);
    const message = error.stack ?? error.message;
    const file = writeCrash(this.options.name, small, `${message}\n\n${description}`);
    this.crashes.set(signature, { message, file, description });
  }

  /** Cuts parts out for as long as the crash stays the same. */
  private async shrunk(input: Buffer, signature: string): Promise<Buffer> {
    let best = input;
    let runs = 0;
    const endMs = performance.now() + SHRINK_MS_MAX;
    for (let part = best.length >> 1; part >= 1; part >>= 1) {
      for (let at = 0; at < best.length;) {
        if (++runs > SHRINK_RUNS_MAX || performance.now() > endMs) return best;
        const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + part)]);
        if (await this.crashesAs(shorter, signature)) best = shorter;
        else at += part;
      }
    }
    return best;
  }

  private async crashesAs(input: Buffer, signature: string): Promise<boolean> {
    this.options.onInput(input);
    try {
      await this.target.run(input, new Set());
      return false;
    } catch (error) {
      return signatureOf(error as Error) === signature;
    }
  }
}

/** Replays the corpus of a target, then mutates for `seconds`. Does not close the target. */
export function fuzz(target: Target, options: LoopOptions): Promise<LoopResult> {
  return new Loop(target, options).run();
}
