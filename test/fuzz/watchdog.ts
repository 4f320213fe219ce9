/**
 * Ends a run that hangs. A thread of its own looks whether inputs still go by; when one input keeps
 * the process for HANG_MS, it is written down as a crash and the process is killed. Without it an
 * endless loop in the code under test would be an endless run.
 */
import { writeSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { writeCrash } from './corpus.ts';

const HANG_MS = 20_000;
const LOOK_MS = 500;
const INPUT_MAX_BYTES = 65_536;

/** Words of the shared head: number of the input (0 = nothing runs), its length in bytes. */
const Word = { Turn: 0, Bytes: 1 } as const;
const HEAD_BYTES = 8;

export class Watchdog {
  private readonly shared = new SharedArrayBuffer(HEAD_BYTES + INPUT_MAX_BYTES);
  private readonly head = new Int32Array(this.shared, 0, 2);
  private readonly bytes = new Uint8Array(this.shared, HEAD_BYTES);
  private readonly worker = new Worker(new URL(import.meta.url), { workerData: this.shared });
  private turn = 0;

  /** Whose inputs come from now on. */
  watch(target: string): void {
    this.worker.postMessage(target);
  }

  onInput(input: Buffer): void {
    const bytes = Math.min(input.length, INPUT_MAX_BYTES);
    this.bytes.set(input.subarray(0, bytes));
    this.turn = (this.turn % 0x3fffffff) + 1;
    Atomics.store(this.head, Word.Bytes, bytes);
    Atomics.store(this.head, Word.Turn, this.turn);
  }

  /** Nothing runs now. */
  rest(): void {
    Atomics.store(this.head, Word.Turn, 0);
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }
}

function keepWatch(shared: SharedArrayBuffer): void {
  const head = new Int32Array(shared, 0, 2);
  let target = '';
  let lastTurn = 0;
  let sinceMs = performance.now();
  parentPort?.on('message', (name: string) => (target = name));
  setInterval(() => {
    const turn = Atomics.load(head, Word.Turn);
    if (turn !== lastTurn || turn === 0) {
      lastTurn = turn;
      sinceMs = performance.now();
    } else if (performance.now() - sinceMs > HANG_MS) {
      const input = Buffer.from(new Uint8Array(shared, HEAD_BYTES, head[Word.Bytes]));
      const message = `hangs: no end within ${HANG_MS / 1000} s`;
      const file = writeCrash(target, input, message);
      // A thread's process.stderr goes through the main thread, which prints nothing any more.
      const replay = `replay: node test/fuzz/main.ts --replay ${file}`;
      writeSync(process.stderr.fd, `\n${target} ${message}\n${replay}\n`);
      process.kill(process.pid, 'SIGKILL');
    }
  }, LOOK_MS);
}

if (!isMainThread && workerData instanceof SharedArrayBuffer) keepWatch(workerData);
