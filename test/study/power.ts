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
      // Anew each time: the machine's speed drifts, and a share of yesterday's cost is another share.
      const costUs = await costOfMessage(context);
      const burnUs = plantedShare * costUs;
      const sides = [burningSide('as it is', 0), burningSide('planted', burnUs)] as const;
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
        `${run + 1} of ${runs}: ${burnUs.toFixed(2)} us on ${costUs.toFixed(2)} us: ${cpu.verdict}, ` +
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
    ok: called >= Math.floor(aim * found.length),
    details: found,
  };
};

/**
 * Server CPU per message without anything planted, µs, as a comparison measures it: of two servers at
 * once, which costs more than one alone. The median of some slices.
 */
async function costOfMessage({ pinning, seed, signal }: StudyContext): Promise<number> {
  const costs: number[] = [];
  const progress = { start() {}, update() {}, phase() {}, end() {}, log() {} };
  const run = async (seedOfRun: number): Promise<void> => {
    const { program } = burningSide('', 0);
    const servers = new ServerYard(pinning, [], program ?? undefined);
    try {
      const context = { seed: seedOfRun, workers: 1, servers, target: null, progress, signal };
      const { server } = await runLoadOnce(context, COST_SLICE, null);
      if (server.cpuUsPerMessage !== null) costs.push(server.cpuUsPerMessage);
    } finally {
      await servers.close();
    }
  };
  for (let i = 0; i < CALIBRATION_RUNS && !signal.aborted; i++) {
    await Promise.all([run(seed + i), run(seed + i)]);
  }
  return median(costs);
}
