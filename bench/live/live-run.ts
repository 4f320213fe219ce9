/**
 * `bench --ui`: the run as it goes, for everybody who has its page open. Keeps what a page needs that is
 * opened late: the scenarios that are finished, and the seconds of the one that is not.
 */
import type { Progress } from '../progress.ts';
import type { LiveEvent, LiveRun, LiveState } from '../report/model.ts';
import { renderPage } from '../report/page-html.ts';
import { emptyPage, viewOf } from '../report/read-files.ts';
import { loadFacts, marksOf } from '../report/run-view.ts';
import type { Result, SeriesPoint } from '../result.ts';
import { PageServer } from './page-server.ts';

/** Seconds that are kept for pages that are opened late: of more, the first are forgotten. */
const SECONDS_MAX = 7200;

export interface LiveOptions {
  /** null = the usual one, or any where that is taken. */
  readonly port: number | null;
  /** Names of the scenarios to come. */
  readonly planned: readonly string[];
}

const USUAL_PORT = 9480;

export class LiveRunServer {
  readonly progress: Progress;
  private readonly server: PageServer;
  private readonly state: LiveState;

  private constructor(server: PageServer, state: LiveState) {
    this.server = server;
    this.state = state;
    this.progress = this.listener();
  }

  /** Rejects when the port that was asked for is taken. */
  static async start({ port, planned }: LiveOptions): Promise<LiveRunServer> {
    const empty = emptyPage({ isLive: true });
    const state: LiveState = { page: empty, planned: [...planned], running: null };
    const server = await PageServer.listen({
      port: port ?? USUAL_PORT,
      mayMove: port === null,
      page: () => renderPage(empty),
      greeting: (): LiveEvent => ({ type: 'state', state }),
    });
    return new LiveRunServer(server, state);
  }

  get url(): string {
    return this.server.url;
  }

  /** All that is finished, as it will be in the result file. */
  finished(soFar: Result): void {
    this.show(soFar, 'this run');
    this.send({ type: 'state', state: this.state });
  }

  /** The run is over; `file` is where its result is. Closes. */
  async end(result: Result, file: string): Promise<void> {
    this.show(result, file);
    this.send({ type: 'end', state: this.state });
    await this.server.close();
  }

  private show(result: Result, file: string): void {
    this.state.running = null;
    try {
      this.state.page = { ...this.state.page, results: [viewOf(result, file)] };
    } catch (error) {
      // Whoever only watches must never spoil a run.
      process.stderr.write(`live: cannot show the result: ${(error as Error).message}\n`);
    }
  }

  private send(event: LiveEvent): void {
    this.server.send(event);
  }

  private listener(): Progress {
    const changeRun = (change: (run: LiveRun) => void): void => {
      if (this.state.running === null) return;
      change(this.state.running);
    };
    return {
      start: (name, totalS, config = {}) => {
        const facts = config as Record<string, unknown>;
        const { warmupS, schedule } = loadFacts(facts);
        const marks = marksOf(facts, {});
        const run: LiveRun = {
          name,
          totalS,
          phase: 'connecting',
          marks,
          warmupS,
          schedule,
          series: [],
        };
        this.state.running = run;
        this.send({ type: 'run', run });
      },
      update: (elapsedS, note, point) =>
        changeRun((run) => {
          run.phase = `${Math.round(elapsedS)} s: ${note}`;
          if (point !== undefined) addPoint(run.series, point);
          this.send({ type: 'second', phase: run.phase, point: point ?? null });
        }),
      phase: (text) =>
        changeRun((run) => {
          run.phase = text;
          this.send({ type: 'second', phase: text, point: null });
        }),
      end: (summary) =>
        changeRun((run) => {
          run.phase = summary;
          this.send({ type: 'second', phase: summary, point: null });
        }),
      log: () => {},
    };
  }
}

function addPoint(series: SeriesPoint[], point: SeriesPoint): void {
  if (series.at(-1)?.second === point.second) series.pop();
  series.push(point);
  if (series.length > SECONDS_MAX) series.shift();
}
