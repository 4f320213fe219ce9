/**
 * What a micro-benchmark is. A block does a fixed number of operations and leaves, with `reset`,
 * the state in which the next block finds everything as this one did, so that all cost the same.
 */

export interface Benchmark {
  /** Group and deed, such as `codec: decode six packets`. */
  readonly name: string;
  /** Operations of one block. */
  readonly operations: number;
  /** Blocks before anything is measured, so that everything is optimised; default 120. */
  readonly warmUpBlocks?: number;
  /** `directory` is empty and removed afterwards. */
  prepare(directory: string): Prepared | Promise<Prepared>;
}

export interface Prepared {
  /** One block. Returns a number that it could not know without having done the work. */
  run(): number | Promise<number>;
  /** What `run` must return. */
  readonly expected: number;
  /** Undoes a block, not measured. */
  reset?(): void | Promise<void>;
  close?(): Promise<void>;
}

/** What the process that measures one benchmark prints. */
export interface ChildReport {
  readonly operations: number;
  /** Bytes allocated in each measured block; empty when instructions were counted. */
  readonly bytes: readonly number[];
  /** Duration of each timed block; empty when instructions were counted. */
  readonly ns: readonly number[];
}

/** Spans without a block that callgrind sees before the blocks: what marks cost, once warm. */
export const EMPTY_SPANS = 10;
/** Blocks whose instructions are counted. */
export const INSTRUCTION_BLOCKS = 5;

/** Named pipes of `perf stat --control` in the directory of a benchmark. */
export const PERF_CONTROL = 'perf-control';
export const PERF_ANSWERS = 'perf-answers';
