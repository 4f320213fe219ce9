/**
 * What the inputs of a target have reached: V8's precise block coverage, summed over a run.
 *
 * V8 reports, per function that ran since the last look, nested ranges with counts. Its ranges are no
 * stable names (equal neighbours are merged), so each function keeps a byte per character of its
 * text: run, or not yet. That only grows, and "anything new" is exact. Blocks, for people to read,
 * are the stretches between all range boundaries that were ever seen in a function.
 *
 * Cost: about 0.9 ms per look, whatever ran; the loop therefore looks once per batch of inputs.
 */
import { Session } from 'node:inspector';
import { WebSocket } from 'ws';

interface CoverageRange {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface ScriptCoverage {
  readonly scriptId: string;
  readonly url: string;
  readonly functions: readonly {
    readonly functionName: string;
    readonly ranges: readonly CoverageRange[];
  }[];
}

/** Where coverage comes from: this process, or a child that was started with `--inspect`. */
export interface CoverageSource {
  /** What ran since the last call. */
  take(): Promise<readonly ScriptCoverage[]>;
  close(): void;
}

const START = { callCount: true, detailed: true };

/** Coverage of this process. Start it before the code under test is imported. */
export function localCoverage(): CoverageSource {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', START);
  return {
    take: () =>
      new Promise((resolve, reject) => {
        session.post('Profiler.takePreciseCoverage', (error, answer) => {
          if (error === null) resolve(answer.result);
          else reject(new Error(error.message));
        });
      }),
    close: () => session.disconnect(),
  };
}

/** Coverage of a process whose inspector listens at `url` (ws:). Rejects when it is gone. */
export async function remoteCoverage(url: string): Promise<CoverageSource> {
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 1 << 28 });
  const waiting = new Map<number, (answer: { result?: unknown } | Error) => void>();
  let lastId = 0;
  const failAll = (): void => {
    for (const settle of waiting.values()) settle(new Error('the inspector is gone'));
    waiting.clear();
  };
  socket.on('message', (data) => {
    const answer = JSON.parse((data as Buffer).toString()) as { id?: number; result?: unknown };
    if (answer.id === undefined) return;
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve).once('error', reject);
  });
  socket.on('error', failAll).on('close', failAll);
  const post = (method: string, params: object = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      waiting.set(id, (answer) => {
        if (answer instanceof Error) reject(answer);
        else resolve(answer.result);
      });
      socket.send(JSON.stringify({ id, method, params }));
    });
  await post('Profiler.enable');
  await post('Profiler.startPreciseCoverage', START);
  return {
    take: async () => {
      const answer = await post('Profiler.takePreciseCoverage');
      return (answer as { result: readonly ScriptCoverage[] }).result;
    },
    close: () => socket.terminate(),
  };
}

interface FunctionCover {
  readonly start: number;
  /** One per character: 1 = was run. */
  readonly hasRun: Uint8Array;
  /** Characters that have not run yet. */
  left: number;
  readonly boundaries: Set<number>;
}

export interface Reached {
  readonly functions: number;
  readonly functionsKnown: number;
  readonly blocks: number;
  readonly blocksKnown: number;
}

/** The sum of all coverage of the files that `wanted` accepts, by their URL. */
export class CoverageMap {
  private readonly covers = new Map<string, FunctionCover>();
  private readonly wanted: RegExp;

  constructor(wanted: RegExp) {
    this.wanted = wanted;
  }

  /** True when some of what ran had never run before. */
  hasNews(scripts: readonly ScriptCoverage[]): boolean {
    return this.take(scripts, false);
  }

  /** Adds what ran; true when some of it had never run before. */
  add(scripts: readonly ScriptCoverage[]): boolean {
    return this.take(scripts, true);
  }

  reached(): Reached {
    let functions = 0;
    let blocks = 0;
    let blocksKnown = 0;
    for (const { start, hasRun, boundaries } of this.covers.values()) {
      const cuts = [...boundaries].sort((a, b) => a - b).slice(0, -1);
      const covered = cuts.filter((at) => hasRun[at - start] === 1).length;
      blocksKnown += cuts.length;
      blocks += covered;
      if (covered > 0) functions++;
    }
    return { functions, functionsKnown: this.covers.size, blocks, blocksKnown };
  }

  private take(scripts: readonly ScriptCoverage[], isAdding: boolean): boolean {
    let isNew = false;
    for (const { url, functions } of scripts) {
      if (!this.wanted.test(url)) continue;
      for (const { ranges } of functions) {
        const cover = this.coverOf(url, ranges[0] as CoverageRange);
        for (const range of ranges) cover.boundaries.add(range.startOffset).add(range.endOffset);
        if (cover.left === 0 || !this.hasFreshCharacter(cover, ranges, isAdding)) continue;
        isNew = true;
        if (!isAdding) return true;
      }
    }
    return isNew;
  }

  private hasFreshCharacter(
    cover: FunctionCover,
    ranges: readonly CoverageRange[],
    isAdding: boolean,
  ): boolean {
    const { start, hasRun } = cover;
    const ran = new Uint8Array(hasRun.length);
    for (const { startOffset, endOffset, count } of ranges) {
      ran.fill(count > 0 ? 1 : 0, startOffset - start, endOffset - start);
    }
    let isFresh = false;
    for (let i = 0; i < ran.length; i++) {
      if (ran[i] === 0 || hasRun[i] === 1) continue;
      isFresh = true;
      if (!isAdding) return true;
      hasRun[i] = 1;
      cover.left--;
    }
    return isFresh;
  }

  private coverOf(url: string, whole: CoverageRange): FunctionCover {
    const key = `${url} ${whole.startOffset} ${whole.endOffset}`;
    const known = this.covers.get(key);
    if (known !== undefined) return known;
    const length = whole.endOffset - whole.startOffset;
    const cover = {
      start: whole.startOffset,
      hasRun: new Uint8Array(length),
      left: length,
      boundaries: new Set<number>(),
    };
    this.covers.set(key, cover);
    return cover;
  }
}
