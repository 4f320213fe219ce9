/**
 * Progress on stderr: a bar per scenario on a terminal, plain lines otherwise (CI, a file, a pipe).
 * The only file that knows the progress library.
 */
import { SingleBar } from 'cli-progress';

export interface Progress {
  start(name: string, totalS: number): void;
  /** `note` is a short live figure, such as the confirmed messages per second. */
  update(elapsedS: number, note: string): void;
  phase(text: string): void;
  end(summary: string): void;
  log(line: string): void;
}

const PLAIN_EVERY_S = 5;

export function createProgress(options: { enabled: boolean }): Progress {
  const isTerminal = process.stderr.isTTY === true && process.env['CI'] === undefined;
  if (!options.enabled) return silent();
  return isTerminal ? bars() : plainLines();
}

function silent(): Progress {
  return { start() {}, update() {}, phase() {}, end() {}, log() {} };
}

function plainLines(): Progress {
  let current = '';
  let lastS = 0;
  const log = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  return {
    start(name, totalS) {
      current = name;
      lastS = 0;
      log(`${name}: started, ${totalS.toFixed(1)} s of load`);
    },
    update(elapsedS, note) {
      if (elapsedS - lastS < PLAIN_EVERY_S) return;
      lastS = elapsedS;
      log(`${current}: ${elapsedS.toFixed(0)} s, ${note}`);
    },
    phase() {},
    end: log,
    log,
  };
}

function bars(): Progress {
  let bar: SingleBar | null = null;
  let total = 1;
  return {
    start(name, totalS) {
      total = Math.max(totalS, 0.1);
      bar = new SingleBar({
        format: `${name.padEnd(18)} {bar} {percentage}% {note}`,
        stream: process.stderr,
        hideCursor: true,
        barsize: 24,
        clearOnComplete: true,
        linewrap: false,
      });
      bar.start(total, 0, { note: 'starting' });
    },
    update(elapsedS, note) {
      bar?.update(Math.min(elapsedS, total), { note });
    },
    phase(text) {
      bar?.update({ note: text });
    },
    end(summary) {
      bar?.update(total, { note: '' });
      bar?.stop();
      bar = null;
      process.stderr.write(`${summary}\n`);
    },
    log(line) {
      process.stderr.write(`${line}\n`);
    },
  };
}
