/**
 * Saves the message traces of a run: one file for each scenario or variant, beside the result. Taken
 * from the workers piece by piece, when the run is over, so that neither the channel nor this process
 * ever holds more than a piece of each.
 */
import path from 'node:path';
import type { SwarmConfig, SwarmPool } from '../../loadgen/index.ts';
import {
  TRACE_ENDING,
  type TraceBlock,
  type TraceFacts,
  type TraceWorker,
  writeMessageTrace,
} from './message-trace-file.ts';

/** Of all workers together at a time: 14 MB. */
const PIECE_EVENTS = 400_000;

/** What the result says about a trace. */
export interface SavedTrace {
  /** Its name, in the directory of the result. */
  readonly file: string;
  readonly events: number;
  /** Older events, for which there was no room. */
  readonly overwritten: number;
  /** Into the load, s: messages due later are whole; null = all are. */
  readonly wholeFromS: number | null;
}

export class MessageTraces {
  /** Events that each worker keeps. */
  readonly eventsMax: number;
  /** Why a trace could not be written. */
  readonly failures: string[] = [];
  private readonly directory: string;
  private readonly stem: string;
  private readonly run: { readonly startedAt: string; readonly sha: string };
  /** Configurations by the name of their file: a second run of one replaces its trace. */
  private readonly taken = new Map<string, string>();

  /** `stem` is the name of the result file without its ending. */
  constructor(options: {
    eventsMax: number;
    directory: string;
    stem: string;
    run: { readonly startedAt: string; readonly sha: string };
  }) {
    this.eventsMax = options.eventsMax;
    this.directory = options.directory;
    this.stem = options.stem;
    this.run = options.run;
  }

  /** Writes what the workers of `pool` recorded; null, and a failure, when it cannot be written. */
  async save(
    pool: Pick<SwarmPool, 'ask'>,
    configs: readonly SwarmConfig[],
    facts: Omit<TraceFacts, 'startedAt' | 'sha'> & { readonly configHash: string },
  ): Promise<SavedTrace | null> {
    const { configHash, ...told } = facts;
    const name = this.nameFor(labelOf(facts), configHash);
    const count = Math.ceil(PIECE_EVENTS / configs.length);
    const ask = async (from: number): Promise<TraceBlock[]> => {
      const chunks = await pool.ask('trace', { from, count });
      return chunks.flatMap((chunk, worker) =>
        chunk === null ? [] : { worker, columns: chunk.columns },
      );
    };
    const sizes = await pool.ask('trace', { from: 0, count: 1 });
    const workers = configs.map(({ uidBase, from, to }, i): TraceWorker => {
      const { total = 0, kept = 0 } = sizes[i] ?? {};
      return { uidFrom: uidBase + from, uidTo: uidBase + to, total, kept };
    });
    const longest = Math.max(...workers.map(({ kept }) => kept));
    async function* blocks(): AsyncGenerator<TraceBlock> {
      for (let from = 0; from < longest; from += count) {
        for (const block of await ask(from)) if (block.columns.atUs.length > 0) yield block;
      }
    }
    const events = workers.reduce((sum, { kept }) => sum + kept, 0);
    const total = workers.reduce((sum, worker) => sum + worker.total, 0);
    // A ring that was overwritten begins with its oldest event.
    const fromUs = sizes.flatMap((chunk) =>
      chunk !== null && chunk.total > chunk.kept ? (chunk.columns.atUs[0] ?? []) : [],
    );
    try {
      const file = path.join(this.directory, name);
      await writeMessageTrace(file, { ...this.run, ...told, workers }, blocks());
    } catch (error) {
      this.failures.push(`${labelOf(facts)}: cannot write the trace: ${(error as Error).message}`);
      return null;
    }
    const wholeFromS = fromUs.length === 0 ? null : (Math.max(...fromUs) - facts.loadStartUs) / 1e6;
    return { file: name, events, overwritten: total - events, wholeFromS };
  }

  private nameFor(label: string, configHash: string): string {
    const slug = label.toLowerCase().replace(/[^a-z0-9]+/g, '-');
    for (let nth = 1; ; nth++) {
      const name = `${this.stem}.${slug}${nth === 1 ? '' : `-${nth}`}${TRACE_ENDING}`;
      const owner = this.taken.get(name) ?? configHash;
      this.taken.set(name, owner);
      if (owner === configHash) return name;
    }
  }
}

/** How a scenario or variant is named in progress, tables and by `--scenario`. */
export function labelOf({
  scenario,
  variant,
}: {
  readonly scenario: string;
  readonly variant: string | null;
}): string {
  return variant === null ? scenario : `${scenario} ${variant}`;
}
