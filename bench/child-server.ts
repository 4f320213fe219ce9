/** Small servers of the bench's own (raw echo, oracle) as child processes, on the server's core. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Pinning } from './environment.ts';

const START_TIMEOUT_MS = 15_000;

/** Those that live now: ended when this process ends. */
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export class ChildServer {
  readonly url: string;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.child = child;
    this.url = url;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /**
   * `script` is relative to this folder and without ending; `path` is that of the WebSocket. Rejects
   * with one sentence when it does not start.
   */
  static start(
    { script, path, args = [] }: { script: string; path: string; args?: readonly string[] },
    pinning: Pinning | null,
  ): Promise<ChildServer> {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const source = fileURLToPath(new URL(`${script}.${ending}`, import.meta.url));
    const command = [process.execPath, source, ...args];
    if (pinning !== null) command.unshift('taskset', '-c', pinning.server);
    const [program, ...rest] = command as [string, ...string[]];
    // Its own process group: Ctrl-C in the terminal is for the runner, which ends it itself.
    const child = spawn(program, rest, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true,
    });
    living.add(child);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
      child.once('message', (port: number) => {
        clearTimeout(timer);
        if (port > 0) resolve(new ChildServer(child, `ws://127.0.0.1:${port}${path}`));
        else reject(new Error(`the server cannot be started: no port for ${script}`));
      });
      child.once('error', (error) => {
        reject(new Error(`the server cannot be started: ${error.message}`));
      });
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        living.delete(child);
        reject(new Error(`the server ended with ${signal ?? `exit code ${code}`}: ${script}`));
      });
    });
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}
