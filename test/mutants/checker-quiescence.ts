/**
 * The hunt on quiescence: `quiesce` against a scripted pool in virtual time. The script knows when
 * everybody is online, when the last packet passed and what each pull brings, so whether a run had
 * come to rest is known beforehand.
 *
 * `hunt` is synchronous and `quiesce` is not: here its source is run with `await` and `async` taken
 * out and the clock replaced, which changes nothing else because the scripted pool answers at once.
 */
import type { Quiescence } from '../../bench/rig.ts';
import type { RetransmitTimers, SwarmStatus } from '../../loadgen/index.ts';
import type { Random } from '../support/random.ts';
import { randomOf } from './checker-seed.ts';
import type { Rewrites } from './checker-source.ts';
import { virtual } from './checker-time.ts';

/** bench/rig.ts without waiting: its functions return what they would resolve with. */
export interface SynchronousRig {
  quiesce(
    pool: unknown,
    options: {
      retransmit: RetransmitTimers;
      timeoutMs: number;
      returnsUnderFaults: boolean;
      signal: { aborted: boolean };
    },
  ): Quiescence;
}

export const SYNCHRONOUS: Rewrites = {
  'bench/rig.ts': (source) =>
    source
      .replaceAll(/\b(?:async|await) /g, '')
      .replaceAll('performance.now()', 'virtual.nowMs')
      .replaceAll('pause(POLL_MS)', 'virtual.elapse(POLL_MS)')
      .concat(`import { virtual } from '${new URL('./checker-time.ts', import.meta.url).href}';\n`),
};

/** One worker as the script has it; instants are ms of virtual time, Infinity is never. */
interface ScriptedWorker {
  readonly clients: number;
  /** Everybody is back, after `returnAll`. */
  readonly onlineAtMs: number;
  /** Nothing waits for ack:N any more. */
  readonly settledAtMs: number;
  /** Pulls of their own are over. */
  readonly pulledAtMs: number;
  /** Packets pass at these instants. */
  readonly packetsAtMs: number[];
  /** What the n-th pull of everybody brings; null is no answer. None further: 0. */
  readonly rows: readonly (number | null)[];
  /** What is left in the inboxes at the end; null is no answer. */
  readonly left: number | null;
}

const TIMEOUT_MS = 5000;
const PULL_MS = 7;

function drawWorker(random: Random): ScriptedWorker {
  const never = (): boolean => random.chance(0.05);
  const soon = (): number => (never() ? Infinity : random.int(0, 800));
  const rows = (): number | null => {
    if (random.chance(0.04)) return null;
    return random.chance(0.25) ? random.int(1, 9) : 0;
  };
  return {
    clients: random.int(1, 9),
    onlineAtMs: soon(),
    settledAtMs: soon(),
    pulledAtMs: random.int(0, 800),
    packetsAtMs: Array.from({ length: random.int(1, 5) }, () => random.int(0, 900)),
    rows: Array.from({ length: random.int(0, 3) }, rows),
    left: random.chance(0.04) ? null : random.chance(0.2) ? random.int(1, 5) : 0,
  };
}

class ScriptedPool {
  readonly workers: readonly ScriptedWorker[];
  readonly asked: string[] = [];
  /** Pulls of everybody: when each began, and what it brought. */
  readonly pulls: { atMs: number; rows: (number | null)[] }[] = [];

  /** Nothing settles before the faults end. */
  private readonly needsHealing: boolean;

  constructor(workers: readonly ScriptedWorker[], needsHealing: boolean) {
    this.workers = workers;
    this.needsHealing = needsHealing;
  }

  ask(name: string): unknown[] {
    this.asked.push(name);
    const { nowMs } = virtual;
    switch (name) {
      case 'status':
        return this.workers.map((worker) => this.statusOf(worker, nowMs));
      case 'pullAll': {
        const rows = this.workers.map((worker) => this.rowsOf(worker, nowMs));
        this.pulls.push({ atMs: nowMs, rows });
        virtual.elapse(PULL_MS);
        return rows;
      }
      case 'probeAll':
        return this.workers.map(({ left }) => left);
      default:
        return this.workers.map(() => null);
    }
  }

  statusOf(worker: ScriptedWorker, atMs: number): SwarmStatus {
    const { clients } = worker;
    const has = (name: string): boolean => this.asked.includes(name);
    const canSettle = has('stopLoad') && (has('heal') || !this.needsHealing);
    return {
      clients,
      wanted: clients,
      online: has('returnAll') && atMs >= worker.onlineAtMs ? clients : clients - 1,
      inflight: canSettle && atMs >= worker.settledAtMs ? 0 : 1,
      pulling: atMs >= worker.pulledAtMs ? 0 : 1,
      silenceMs: this.silenceMs(worker, atMs),
      topClose: '',
    };
  }

  silenceMs(worker: ScriptedWorker, atMs: number): number {
    return atMs - Math.max(0, ...worker.packetsAtMs.filter((packetMs) => packetMs <= atMs));
  }

  /** Rows are packets, so they end a silence. */
  private rowsOf(worker: ScriptedWorker, atMs: number): number | null {
    const rows = worker.rows[this.pulls.length];
    if (rows === undefined || rows === 0) return 0;
    worker.packetsAtMs.push(atMs + 1);
    return rows;
  }
}

/** Lets `quiesce` judge the script of `seed`; the name of the rule that its answer breaks. */
export function huntQuiescence(rig: SynchronousRig, seed: number): string | null {
  const random = randomOf(seed);
  const workers = Array.from({ length: random.int(1, 3) }, () => drawWorker(random));
  const pool = new ScriptedPool(workers, random.chance(0.5));
  const retransmit = { firstMs: 50, maxMs: random.int(50, 200), maxAttempts: 9, jitter: 0.1 };
  const silenceMs = 2 * retransmit.maxMs * (1 + retransmit.jitter);
  virtual.nowMs = 0;
  const { reached, reason, stuck } = rig.quiesce(pool, {
    retransmit,
    timeoutMs: TIMEOUT_MS,
    returnsUnderFaults: random.chance(0.3),
    signal: { aborted: false },
  });

  const last = pool.pulls.slice(-2);
  const isAnswered = pool.pulls.every(({ rows }) => !rows.includes(null));
  const left = workers.map((worker) => worker.left);
  if (!reached) {
    const comesToRest = workers.every(
      ({ onlineAtMs, settledAtMs }) => onlineAtMs < Infinity && settledAtMs < Infinity,
    );
    if (comesToRest && isAnswered && !left.includes(null)) return 'quiescence: not reached at rest';
    return reason === '' || stuck !== 0 ? 'quiescence: no reason' : null;
  }
  for (const order of ['stopLoad', 'heal', 'returnAll']) {
    if (!pool.asked.includes(order)) return `quiescence: ${order} was not ordered`;
  }
  if (last.length < 2 || last.some(({ rows }) => rows.some((count) => count !== 0))) {
    return 'quiescence: two empty pulls';
  }
  const restMs = last[0]!.atMs;
  for (const worker of workers) {
    const status = pool.statusOf(worker, restMs);
    if (status.online < status.clients) return 'quiescence: everybody online';
    if (status.inflight > 0) return 'quiescence: nothing waits for ack:N';
    if (status.pulling > 0) return 'quiescence: no pull under way';
    if (status.silenceMs < silenceMs) return 'quiescence: silence';
  }
  if (left.includes(null)) return 'quiescence: final counts answered';
  return stuck === left.reduce<number>((sum, count) => sum + (count ?? 0), 0)
    ? null
    : 'quiescence: stuck';
}
