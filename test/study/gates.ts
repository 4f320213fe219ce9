/**
 * Do the validity gates know a saturated generator? Saturated runs ask one generator thread for more
 * than it can send, or leave it half a core beside a busy neighbour; healthy runs ask for what it sends
 * easily. Aim: all saturated runs invalid, at most one in fifty healthy ones.
 *
 * A run during which the hypervisor or another process took processor time away is not healthy, whatever
 * was planned: declaring it invalid is right. The kernel's own account (G4) says so; such a run is set
 * aside, counted, and repeated.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { runLoadOnce } from '../../bench/load-run.ts';
import type { ScenarioResult } from '../../bench/result.ts';
import { ServerYard } from '../../bench/server-yard.ts';
import { Random } from '../../loadgen/index.ts';
import { load, type Study, type StudyContext } from './study.ts';

/** More runs than that which the machine spoilt, and the study says nothing. */
const DISTURBED_MAX = 60;

/**
 * Those of online-steady, whose windows the gates are for: in two seconds a single pause of 20 ms is the
 * p99 of the send lag, in eleven it is not.
 */
const HEALTHY_TIMES = { durationS: 15, warmupS: 4 };

interface Plan {
  readonly isSaturated: boolean;
  readonly ratePerSec: number;
  /** A process that never sleeps, on the generator's core. */
  readonly hasNeighbour: boolean;
}

interface Outcome extends Plan {
  readonly verdict: ScenarioResult['verdict'];
  readonly gates: string[];
}

export const studyGates: Study = async (context) => {
  const { runs, seed, signal, log } = context;
  const random = new Random(seed, 'plans');
  const outcomes: Outcome[] = [];
  let disturbed = 0;
  // The first run of a process is compiled while it runs; nobody would judge a machine by it.
  await runPlan(context, { isSaturated: false, ratePerSec: 4000, hasNeighbour: false }, seed);
  for (let run = 0; run < 2 * runs && !signal.aborted; run++) {
    // In turn, so that a machine that drifts hits both kinds alike.
    const plan = run % 2 === 0 ? saturatedPlan(random) : healthyPlan(random);
    let result = await runPlan(context, plan, seed + run);
    while (!plan.isSaturated && isDisturbed(result) && !signal.aborted) {
      log(`healthy, ${Math.round(plan.ratePerSec)}/s: ${result.reasons.join('; ')}: set aside`);
      if (++disturbed > DISTURBED_MAX) throw new Error('the machine is too disturbed to judge by');
      result = await runPlan(context, plan, seed + run);
    }
    if (signal.aborted) break;
    const gates = result.gates.filter(({ ok }) => !ok).map(({ id }) => id);
    outcomes.push({ ...plan, verdict: result.verdict, gates: [...new Set(gates)] });
    const kind = plan.isSaturated ? 'saturated' : 'healthy';
    const beside = plan.hasNeighbour ? ' beside a neighbour' : '';
    log(
      `${run + 1} of ${2 * runs}: ${kind}, ${Math.round(plan.ratePerSec)}/s${beside}: ${result.verdict} ${gates.join(' ')}`,
    );
  }
  const isInvalid = ({ verdict }: Outcome): boolean => verdict === 'invalid';
  const saturated = outcomes.filter(({ isSaturated }) => isSaturated);
  const healthy = outcomes.filter(({ isSaturated }) => !isSaturated);
  const caught = saturated.filter(isInvalid).length;
  const rejected = healthy.filter(isInvalid);
  return {
    lines: [
      `saturated runs declared invalid: ${caught} of ${saturated.length}`,
      `healthy runs declared invalid:   ${rejected.length} of ${healthy.length}${rejected
        .map(({ gates }) => ` [${gates.join(' ')}]`)
        .join('')}`,
      `set aside, because processor time was stolen or taken by other processes (G4): ${disturbed}`,
    ],
    hasJudged: outcomes.length > 0,
    ok: caught === saturated.length && rejected.length <= Math.ceil(healthy.length / 50),
    details: outcomes,
  };
};

function isDisturbed({ gates }: ScenarioResult): boolean {
  return gates.some(({ id, ok }) => id === 'G4' && !ok);
}

function saturatedPlan(random: Random): Plan {
  const hasNeighbour = random.chance(0.4);
  // Alone a thread sends about 30,000/s here; beside a neighbour it has half of the core.
  const ratePerSec = hasNeighbour
    ? 25_000 + 15_000 * random.unit()
    : 60_000 + 60_000 * random.unit();
  return { isSaturated: true, ratePerSec, hasNeighbour };
}

function healthyPlan(random: Random): Plan {
  return { isSaturated: false, ratePerSec: 500 + 3500 * random.unit(), hasNeighbour: false };
}

async function runPlan(
  { pinning, signal }: StudyContext,
  { isSaturated, ratePerSec, hasNeighbour }: Plan,
  seed: number,
): Promise<ScenarioResult> {
  const servers = new ServerYard(pinning, []);
  const progress = { start() {}, update() {}, phase() {}, end() {}, log() {} };
  const neighbour = hasNeighbour ? startNeighbour(pinning?.generator ?? null) : null;
  try {
    return await runLoadOnce(
      { seed, workers: 1, servers, target: null, progress, signal },
      load({
        name: 'study',
        clients: 100,
        load: { mode: 'open', ratePerSec },
        ...(isSaturated ? { durationS: 3, warmupS: 1 } : HEALTHY_TIMES),
        inflightMax: 1_000_000,
        retransmit: { firstMs: 500, maxMs: 500, maxAttempts: 40 },
        server: { store: 'memory' },
      }),
      null,
    );
  } finally {
    neighbour?.kill('SIGKILL');
    await servers.close();
  }
}

/** A process that takes all of a core that it can get, and ends with us. */
export function startNeighbour(cores: string | null): ChildProcess {
  const burn =
    'process.stdin.on("end", () => process.exit()).resume(); (function turn() { for (const end = Date.now() + 20; Date.now() < end;); setImmediate(turn); })()';
  const command = [process.execPath, '-e', burn];
  if (cores !== null) command.unshift('taskset', '-c', cores);
  const [program, ...args] = command as [string, ...string[]];
  return spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
}
