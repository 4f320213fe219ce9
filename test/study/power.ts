/**
 * How often is a planted rise of the server's CPU per message called worse? Aim: 11 of 12 for 10 %, 9 of 12
 * for 5 %.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runComparison } from '../../bench/compare/main.ts';
import { median } from '../../bench/statistics/median.ts';
import { burningSide, compareOptions, COST_SLICE, type Study } from './study.ts';

export const studyPower: Study = async (context) => {
  const { runs, plantedShare, seed, signal, log } = context;
  const outDir = mkdtempSync(path.join(tmpdir(), 'ackbench-study-'));
  const found: {
    verdict: string;
    change: number;
    p: number;
    /** µs of server CPU per message. */
    a: number;
    b: number;
    pairs: number;
    seconds: number;
  }[] = [];
  try {
    for (let run = 0; run < runs && !signal.aborted; run++) {
      const sides = [burningSide('as it is', 0), burningSide('planted', plantedShare)] as const;
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
        a: cpu.a,
        b: cpu.b,
        pairs: pairs.length,
        seconds: durationS,
      });
      log(
        `${run + 1} of ${runs}: ${cpu.verdict}, ` +
          `${(100 * change).toFixed(1)} %, ${cpu.a.toFixed(2)} to ${cpu.b.toFixed(2)} us, p ${cpu.p.toFixed(4)}, ${pairs.length} pairs, ${durationS.toFixed(0)} s`,
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
