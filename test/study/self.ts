/**
 * How often is a server called different from itself? Every third comparison runs beside a neighbour
 * that takes what it can get of either core, on and off. Aim: at most one false alarm over all metrics
 * of thirty comparisons.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runComparison } from '../../bench/compare/main.ts';
import { Random } from '../../loadgen/index.ts';
import { startNeighbour } from './gates.ts';
import { burningSide, compareOptions, SLICE, type Study, type StudyContext } from './study.ts';

const NEIGHBOUR_MIN_MS = 1000;
const NEIGHBOUR_SPREAD_MS = 6000;

export const studySelf: Study = async (context) => {
  const { runs, seed, signal, log } = context;
  const outDir = mkdtempSync(path.join(tmpdir(), 'ackbench-study-'));
  const found: { hasNeighbour: boolean; alarms: string[]; metrics: number; seconds: number }[] = [];
  try {
    for (let run = 0; run < runs && !signal.aborted; run++) {
      const hasNeighbour = run % 3 === 2;
      const stop = hasNeighbour ? disturb(context, seed + run) : () => {};
      const sides = [burningSide('the server', 0), burningSide('the same', 0)] as const;
      const options = compareOptions(...sides, {
        slice: SLICE,
        seed: 1000 * seed + 50 * run,
        outDir,
        isCostsOnly: false,
      });
      const comparison = await runComparison(options, signal).finally(stop);
      if (signal.aborted) break;
      const alarms = comparison.metrics.filter(({ verdict }) => /worse|better/.test(verdict));
      found.push({
        hasNeighbour,
        alarms: alarms.map(({ name, verdict }) => `${name} ${verdict}`),
        metrics: comparison.metrics.filter(({ verdict }) => verdict !== 'invalid').length,
        seconds: comparison.durationS,
      });
      const cpu = comparison.metrics.find(({ name }) => name.endsWith('serverCpu'));
      log(
        `${run + 1} of ${runs}${hasNeighbour ? ', beside a neighbour' : ''}: ${comparison.verdict}, ${comparison.pairs.length} pairs, ` +
          `server CPU ${(100 * Math.expm1(cpu?.meanLog ?? 0)).toFixed(1)} %, would see ${(100 * (cpu?.detectable ?? NaN)).toFixed(1)} %` +
          `${alarms.map(({ name, verdict }) => `; ${name} ${verdict}`).join('')}`,
      );
    }
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
  const alarming = found.filter(({ alarms }) => alarms.length > 0);
  const disturbed = found.filter(({ hasNeighbour }) => hasNeighbour).length;
  const metrics = found.reduce((sum, { metrics: count }) => sum + count, 0);
  const alarms = found.flatMap((each) => each.alarms);
  return {
    lines: [
      `comparisons of a server with itself: ${found.length}, ${disturbed} of them beside a neighbour`,
      `metrics judged: ${metrics}, false alarms: ${alarms.length} in ${alarming.length} comparisons${alarms.map((text) => ` [${text}]`).join('')}`,
    ],
    hasJudged: found.length > 0,
    ok: alarms.length <= Math.ceil(found.length / 30),
    details: found,
  };
};

/** A neighbour that comes and goes, on one core or the other; stops when called. */
function disturb({ pinning }: StudyContext, seed: number): () => void {
  const random = new Random(seed, 'neighbour');
  let neighbour: ReturnType<typeof startNeighbour> | null = null;
  let timer: NodeJS.Timeout;
  const turn = (): void => {
    if (neighbour === null) {
      const isServers = random.chance(0.5);
      neighbour = startNeighbour((isServers ? pinning?.server : pinning?.generator) ?? null);
    } else {
      neighbour.kill('SIGKILL');
      neighbour = null;
    }
    timer = setTimeout(turn, NEIGHBOUR_MIN_MS + NEIGHBOUR_SPREAD_MS * random.unit());
  };
  turn();
  return () => {
    clearTimeout(timer);
    neighbour?.kill('SIGKILL');
  };
}
