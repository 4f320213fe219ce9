/** The raw echo server as a child process, on the core that the server under test has. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Pinning } from './environment.ts';

const START_TIMEOUT_MS = 15_000;

/** Echo servers that live now: ended when this process ends. */
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export class EchoProcess {
  readonly url: string;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.url = `ws://127.0.0.1:${port}/`;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** Rejects with one sentence when it does not start. */
  static start(pinning: Pinning | null): Promise<EchoProcess> {
    const source = import.meta.url.endsWith('.ts') ? './echo-server.ts' : './echo-server.js';
    const command = [process.execPath, fileURLToPath(new URL(source, import.meta.url))];
    if (pinning !== null) command.unshift('taskset', '-c', pinning.server);
    const [program, ...args] = command as [string, ...string[]];
    // Its own process group: Ctrl-C in the terminal is for the runner, which ends it itself.
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true,
    });
    living.add(child);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
      child.once('message', (port: number) => {
        clearTimeout(timer);
        if (port > 0) resolve(new EchoProcess(child, port));
        else reject(new Error('the server cannot be started: the echo server has no port'));
      });
      child.once('error', (error) => {
        reject(new Error(`the server cannot be started: ${error.message}`));
      });
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        living.delete(child);
        reject(new Error(`the server ended with ${signal ?? `exit code ${code}`}: echo server`));
      });
    });
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}
