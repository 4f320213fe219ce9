/**
 * How often is a planted rise of the server's CPU per message called worse? The rise is a share of
 * what a message costs here and now, measured first. Aim: 11 of 12 for 10 %, 9 of 12 for 5 %.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runComparison } from '../../bench/compare/main.ts';
import { median } from '../../bench/compare/verdict.ts';
import { runLoadOnce } from '../../bench/load-run.ts';
import { ServerYard } from '../../bench/server-yard.ts';
import { burningSide, compareOptions, COST_SLICE, type Study, type StudyContext } from './study.ts';

const CALIBRATION_RUNS = 3;

export const studyPower: Study = async (context) => {
  const { runs, plantedShare, seed, signal, log } = context;
  const outDir = mkdtempSync(path.join(tmpdir(), 'ackbench-study-'));
  const found: { verdict: string; change: number; p: number; pairs: number; seconds: number }[] =
    [];
  try {
    for (let run = 0; run < runs && !signal.aborted; run++) {
      // Anew each time: what a message costs beside a round of work is not the same for ever.
      const { messageUs, roundUs } = await costs(context);
      if (signal.aborted) break;
      const rounds = Math.round((plantedShare * messageUs) / roundUs);
      const sides = [burningSide('as it is', 0), burningSide('planted', rounds)] as const;
      const options = compareOptions(...sides, {
        slice: COST_SLICE,
        seed: 1000 * seed + 50 * run,
        outDir,
        isCostsOnly: true,
      });
      const { metrics, pairs, durationS } = await runComparison(options, signal);
      if (signal.aborted) break;
      const cpu = metrics.find(({ name }) => name.endsWith('serverCpu'));
      if (cpu === undefined) throw new Error('the server cannot be seen: no CPU was measured');
      const change = Math.expm1(cpu.meanLog);
      found.push({
        verdict: cpu.verdict,
        change,
        p: cpu.p,
        pairs: pairs.length,
        seconds: durationS,
      });
      log(
        `${run + 1} of ${runs}: ${rounds} rounds (${(rounds * roundUs).toFixed(2)} us) on ${messageUs.toFixed(2)} us: ${cpu.verdict}, ` +
          `${(100 * change).toFixed(1)} %, p ${cpu.p.toFixed(4)}, ${pairs.length} pairs, ${durationS.toFixed(0)} s`,
      );
    }
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
  const called = found.filter(({ verdict }) => verdict === 'worse').length;
  const aim = plantedShare >= 0.1 ? 11 / 12 : 9 / 12;
  const longest = Math.max(0, ...found.map(({ seconds }) => seconds));
  return {
    lines: [
      `planted ${(100 * plantedShare).toFixed(0)} % of server CPU per message: called worse in ${called} of ${found.length} comparisons`,
      `measured change: median ${(100 * median(found.map(({ change }) => change))).toFixed(1)} %; longest comparison ${longest.toFixed(0)} s`,
    ],
    hasJudged: found.length > 0,
    ok: called >= Math.floor(aim * found.length),
    details: found,
  };
};

/** Rounds that are measured to know what one takes: some 5 µs, half of what a message costs. */
const KNOWN_ROUNDS = 5000;

/**
 * What a message costs without anything planted, and what a round of work does, µs of server CPU, as a
 * comparison measures it: two servers at once cost more than one alone. Medians of some slices.
 */
async function costs({ pinning, seed, signal }: StudyContext): Promise<{
  readonly messageUs: number;
  readonly roundUs: number;
}> {
  const found: { plain: number; burdened: number }[] = [];
  const progress = { start() {}, update() {}, phase() {}, end() {}, log() {} };
  const run = async (rounds: number, seedOfRun: number): Promise<number> => {
    const { program } = burningSide('', rounds);
    const servers = new ServerYard(pinning, [], program ?? undefined);
    try {
      const context = { seed: seedOfRun, workers: 1, servers, target: null, progress, signal };
      const { server } = await runLoadOnce(context, COST_SLICE, null);
      return server.cpuUsPerMessage ?? NaN;
    } finally {
      await servers.close();
    }
  };
  for (let i = 0; i < CALIBRATION_RUNS && !signal.aborted; i++) {
    const [plain, burdened] = await Promise.all([run(0, seed + i), run(KNOWN_ROUNDS, seed + i)]);
    found.push({ plain, burdened });
  }
  return {
    messageUs: median(found.map(({ plain }) => plain)),
    roundUs: median(found.map(({ plain, burdened }) => (burdened - plain) / KNOWN_ROUNDS)),
  };
}
