/** `ackbench doctor`: is this machine fit to measure on? Exit code 3 when something is missing. */
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ExitCode, nowUs, sampleProcess } from '../loadgen/index.ts';
import { detectPinning, describeEnvironment, openFilesLimit } from './environment.ts';
import { RESERVED_FILES } from './layout.ts';

interface Finding {
  what: string;
  state: 'ok' | 'warning' | 'unfit';
  detail: string;
}

const FILES_WANTED = 4096;

/** Prints what was found and returns the exit code. */
export async function doctor(): Promise<ExitCode> {
  const findings: Finding[] = [];
  const find = (what: string, state: Finding['state'], detail: string): void => {
    findings.push({ what, state, detail });
  };
  const pinning = detectPinning();
  const environment = describeEnvironment(pinning);
  find('runtime', 'ok', `Node ${environment.node}, ${environment.uws}, ${environment.kernel}`);
  find(
    'cores',
    environment.cores >= 2 ? 'ok' : 'warning',
    `${environment.cores} (${environment.cpuModel}); pinning: ${environment.pinning}`,
  );
  try {
    await import('uWebSockets.js');
    find('socket library', 'ok', 'its binary fits this platform and runtime');
  } catch (error) {
    find('socket library', 'unfit', (error as Error).message.split('\n')[0] as string);
  }
  const files = openFilesLimit();
  find(
    'open files',
    files === 0 || files >= FILES_WANTED ? 'ok' : 'warning',
    files === 0
      ? 'unlimited or unknown'
      : `${files}: up to ${files - RESERVED_FILES} clients per process, and more take more processes`,
  );
  const port = await freePort();
  find('ports', port > 0 ? 'ok' : 'unfit', port > 0 ? 'loopback port available' : 'cannot listen');
  const { steps, lateUs } = await clockCheck();
  find('clock', steps === 0 ? 'ok' : 'unfit', `monotonic, ${steps} steps back in 100,000 readings`);
  find(
    'timers',
    lateUs < 5000 ? 'ok' : 'warning',
    `event loop delay p99 ${Math.round(lateUs)} us while idle; above 5000 the machine is too noisy`,
  );
  const isSampled = sampleProcess(process.pid) !== null;
  find(
    'process accounts',
    isSampled ? 'ok' : 'warning',
    isSampled ? '/proc is readable' : 'no /proc: CPU and memory of the server will be missing',
  );
  for (const { what, state, detail } of findings) {
    process.stdout.write(`${state.padEnd(8)} ${what.padEnd(17)} ${detail}\n`);
  }
  return findings.some(({ state }) => state === 'unfit') ? ExitCode.Invalid : ExitCode.Pass;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(0));
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
}

async function clockCheck(): Promise<{ steps: number; lateUs: number }> {
  let steps = 0;
  let last = nowUs();
  for (let i = 0; i < 100_000; i++) {
    const now = nowUs();
    if (now < last) steps++;
    last = now;
  }
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  delay.disable();
  return { steps, lateUs: Math.max(0, delay.percentile(99) / 1000 - 1000) };
}
