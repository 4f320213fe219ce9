/**
 * A fresh reference server per scenario: a child process on its own core, a port and a data
 * directory of its own. It can be killed and restarted on the same port and data.
 *
 * The child holds a pipe from us as its stdin and stops when that ends, so no server outlives a
 * runner that was killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sampleProcess, sampleTree } from '../loadgen/index.ts';
import type { Pinning } from './environment.ts';
import {
  fillCommand,
  isFree,
  OWN_SERVER,
  type ServerProgram,
  takesConnections,
} from './server-program.ts';

export interface ServerOrder {
  readonly policy: string;
  readonly store: string;
  /** Further settings of the server, by their name in its configuration. */
  readonly settings: Readonly<Record<string, string | number>>;
}

const START_ATTEMPTS = 10;
const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 15_000;
const GROUP_POLL_MS = 10;

/**
 * A port below the range that the kernel gives to outgoing connections: there, a client that
 * reconnects to the port of a killed server could be given that very port and connect to itself.
 */
function pickPort(): number {
  let low = 32_768;
  try {
    low = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
  } catch {
    // Not Linux: the usual range.
  }
  const from = Math.min(10_000, Math.max(1024, low - 10_000));
  return from + Math.floor(Math.random() * Math.max(1, low - from));
}

/** On somebody else's port a command would seem ready before it is. */
async function pickFreePort(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = pickPort();
    if (attempt === START_ATTEMPTS || (await isFree(port))) return port;
  }
}

/**
 * Waits for a line or the end of its input, which is the end of this process, however it ends: then the
 * server's group and its data go too. Not every server notices, a stopped one least of all.
 */
const GUARD = 'read -r line && exit; kill -s KILL -- "-$1"; rm -rf -- "$2"';

/** Servers that live now, and their data: ended and removed when this process ends by itself. */
const living = new Set<ChildProcess>();
const dataDirs = new Set<string>();
process.on('exit', () => {
  for (const child of living) signalGroup(child, 'SIGKILL');
  for (const dataDir of dataDirs) rmSync(dataDir, { recursive: true, force: true });
});

export class ServerProcess {
  readonly jwtKey = randomBytes(32).toString('hex');
  url = '';
  port = 0;
  /** Highest resident memory of any of its lives. */
  peakRssBytes = 0;
  private child: ChildProcess | null = null;
  private pastCpuUs = 0;
  private readonly order: ServerOrder;
  private readonly pinning: Pinning | null;
  private readonly program: ServerProgram;
  private readonly dataDir: string;
  private stderrTail = '';
  /** Ends the server should we be killed. */
  private guard: ChildProcess | null = null;

  private constructor(order: ServerOrder, pinning: Pinning | null, program: ServerProgram) {
    this.order = order;
    this.pinning = pinning;
    this.program = program;
    try {
      this.dataDir = mkdtempSync(path.join(tmpdir(), 'ackbench-'));
    } catch (error) {
      throw new Error(`the server cannot have a data directory: ${(error as Error).message}`, {
        cause: error,
      });
    }
    dataDirs.add(this.dataDir);
  }

  static async start(
    order: ServerOrder,
    pinning: Pinning | null,
    program: ServerProgram = OWN_SERVER,
  ): Promise<ServerProcess> {
    const server = new ServerProcess(order, pinning, program);
    for (let attempt = 1; ; attempt++) {
      server.port = await pickFreePort();
      try {
        await server.launch();
        return server;
      } catch (error) {
        if (attempt < START_ATTEMPTS && (error as Error).message.includes('cannot listen'))
          continue;
        server.removeData();
        throw error;
      }
    }
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** CPU of all its lives so far, µs; null where the system does not tell. */
  cpuUs(): number | null {
    const sample = this.sample();
    return sample === null
      ? this.pastCpuUs > 0
        ? this.pastCpuUs
        : null
      : this.pastCpuUs + sample.cpuUs;
  }

  rssBytes(): number {
    return this.sample()?.rssBytes ?? 0;
  }

  /** Why it is gone although nobody ended it; null while it runs. */
  endedBy(): string | null {
    const { child } = this;
    if (child === null || (child.exitCode === null && child.signalCode === null)) return null;
    return child.signalCode ?? `exit code ${child.exitCode}`;
  }

  /** What its data directory takes on the disk, bytes. */
  dataBytes(): number {
    let bytes = 0;
    for (const name of readdirSync(this.dataDir, { recursive: true, encoding: 'utf8' })) {
      // Files come and go while it runs.
      const stats = statSync(path.join(this.dataDir, name), { throwIfNoEntry: false });
      if (stats?.isFile() === true) bytes += 512 * stats.blocks;
    }
    return bytes;
  }

  /** SIGKILL, as a crash; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.pastCpuUs += this.sample()?.cpuUs ?? 0;
    await this.end('SIGKILL');
  }

  /** Starts again on the same port with the same data. */
  restart(): Promise<void> {
    return this.launch();
  }

  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** SIGTERM; false when it did not drain with exit code 0. Removes the data. */
  async stop(): Promise<boolean> {
    this.resume();
    const code = await this.end('SIGTERM');
    this.removeData();
    return code === 0;
  }

  private sample() {
    const pid = this.child?.pid;
    const sample =
      pid === undefined
        ? null
        : this.program.kind === 'command'
          ? sampleTree(pid)
          : sampleProcess(pid);
    if (sample !== null) this.peakRssBytes = Math.max(this.peakRssBytes, sample.peakRssBytes);
    return sample;
  }

  private async launch(): Promise<void> {
    const { pinning } = this;
    const { command, environment } = this.commandLine();
    if (pinning !== null) command.unshift('taskset', '-c', pinning.server);
    const [program, ...args] = command as [string, ...string[]];
    // Its own process group: Ctrl-C in the terminal is for the runner, which stops the server itself.
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...serverEnvironment(), ...environment },
    });
    this.child = child;
    living.add(child);
    child.once('exit', () => living.delete(child));
    this.dismissGuard(); // of an earlier life
    this.guard = spawn('sh', ['-c', GUARD, 'sh', String(child.pid), this.dataDir], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true, // not for Ctrl-C in the terminal
    }).on('error', () => {}); // without it there is only the exit handler
    this.guard.unref();
    (this.guard.stdin as Socket).on('error', () => {}).unref();
    child.stdin?.on('error', () => {});
    this.stderrTail = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderrTail = (this.stderrTail + chunk.toString('utf8')).slice(-2000);
    });
    const ready = await this.waitForReady(child);
    this.url = ready.url;
    this.port = ready.port;
  }

  private commandLine(): { command: string[]; environment: Record<string, string> } {
    const { order, program, port, jwtKey, dataDir } = this;
    const { policy, store, settings } = order;
    if (program.kind === 'command') {
      const { text, environment } = fillCommand(program.command, { port, jwtKey, dataDir, policy });
      return { command: ['sh', '-c', text], environment };
    }
    const flags = [
      '--host=127.0.0.1',
      `--port=${port}`,
      `--policy=${policy}`,
      `--store=${store}`,
      `--data-dir=${dataDir}`,
    ];
    for (const [name, value] of Object.entries(settings)) {
      const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      flags.push(`--${flag}`, String(value));
    }
    return {
      command: [process.execPath, program.cliFile, 'serve', ...flags],
      environment: { ACKBENCH_JWT_KEY: jwtKey, ACKBENCH_STOP_WITH_STDIN: '1' },
    };
  }

  private waitForReady(child: ChildProcess): Promise<{ url: string; port: number }> {
    const { program, port } = this;
    const settled = new AbortController();
    return new Promise<{ url: string; port: number }>((resolve, reject) => {
      const give = (message: string): void => {
        clearTimeout(timer);
        reject(
          new Error(`${message}${this.stderrTail === '' ? '' : `: ${this.stderrTail.trim()}`}`),
        );
      };
      const timer = setTimeout(() => {
        signalGroup(child, 'SIGKILL');
        give(`the server was not ready within ${START_TIMEOUT_MS / 1000} s`);
      }, START_TIMEOUT_MS);
      child.once('error', (error) => give(`the server cannot be started: ${error.message}`));
      child.once('exit', (code) => give(`the server ended with exit code ${code}`));
      const isReady = (ready: { url: string; port: number }): void => {
        clearTimeout(timer);
        resolve(ready);
      };
      if (program.kind === 'command') {
        child.stdout?.resume(); // nobody reads it, and a full pipe would stop the server
        void takesConnections(port, settled.signal).then(() => {
          isReady({ url: `ws://127.0.0.1:${port}/v1/ws`, port });
        });
        return;
      }
      let pending = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        pending += chunk.toString('utf8');
        const lines = pending.split('\n');
        pending = lines.pop() ?? '';
        for (const line of lines) {
          if (line.includes('"listening"'))
            isReady(JSON.parse(line) as { url: string; port: number });
        }
      });
    }).finally(() => settled.abort());
  }

  private async end(signal: NodeJS.Signals): Promise<number | null> {
    const { child } = this;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return null;
    this.sample();
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    signalGroup(child, signal);
    const endMs = performance.now() + STOP_TIMEOUT_MS;
    const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), STOP_TIMEOUT_MS);
    const code = await exited;
    // The shell of a command is gone at once; the server that it started may still drain.
    while (isGroupAlive(child.pid as number) && performance.now() < endMs)
      await delay(GROUP_POLL_MS);
    clearTimeout(timer);
    if (isGroupAlive(child.pid as number)) {
      signalGroup(child, 'SIGKILL');
      process.stderr.write(
        `the server ${nameOf(this.program)}did not end within ${STOP_TIMEOUT_MS / 1000} s of ${signal}: killed\n`,
      );
    }
    this.child = null;
    this.dismissGuard();
    return code;
  }

  private dismissGuard(): void {
    this.guard?.stdin?.end('over\n');
    this.guard = null;
  }

  private removeData(): void {
    this.dismissGuard();
    rmSync(this.dataDir, { recursive: true, force: true });
    dataDirs.delete(this.dataDir);
  }
}

/** Only what we say configures the server under test: ACKBENCH_* of the user is for the runner. */
function serverEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith('ACKBENCH_')) environment[name] = value;
  }
  return environment;
}

function nameOf(program: ServerProgram): string {
  return program.kind === 'command' ? `(${program.command}) ` : '';
}

/** Whether a process of the group still runs; those that ended and nobody waited for do not. */
function isGroupAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
  } catch {
    return false;
  }
  try {
    return readdirSync('/proc').some((name) => /^\d+$/.test(name) && isRunningIn(name, group));
  } catch {
    return true; // no /proc
  }
}

function isRunningIn(pid: string, group: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(processGroup) === group && state !== 'Z';
  } catch {
    return false; // it ended while we looked
  }
}

/** A command may have started further processes: they are of its group. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    child.kill(signal); // no group of its own, or gone
  }
}
