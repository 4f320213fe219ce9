/** A command as the server under test: when it is ready, and that it is gone before the next one starts. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ServerProcess } from '../../bench/server-process.ts';
import { isFree } from '../../bench/server-program.ts';
import { withTempDir } from '../support/temp-dir.ts';

const ORDER = { policy: 'relay', store: 'memory', settings: {} };

/** A server that takes connections and, told to end, drains for `drainMs`. */
function slowServer(log: string, drainMs: number): string {
  return `
    const { existsSync, writeFileSync } = require('node:fs');
    require('node:net').createServer().listen(Number(process.env.ACKBENCH_PORT), '127.0.0.1');
    process.on('SIGTERM', () => setTimeout(() => {
      const isThere = existsSync(process.env.ACKBENCH_DATA_DIR);
      writeFileSync(${JSON.stringify(log)}, isThere ? 'drained with its data' : 'its data was gone');
      process.exit();
    }, ${drainMs}));`;
}

function start(script: string, shell = (command: string) => command): Promise<ServerProcess> {
  const command = shell(`"${process.execPath}" "${script}"`);
  return ServerProcess.start(ORDER, null, { kind: 'command', command });
}

test('a command that drains is waited for, its data is there until then, whoever started it', async () => {
  await withTempDir(async (directory) => {
    const script = join(directory, 'slow.cjs');
    const log = join(directory, 'log');
    writeFileSync(script, slowServer(log, 300));
    for (const shell of [
      (command: string) => `exec ${command}`,
      (command: string) => `${command} & wait`,
    ]) {
      writeFileSync(log, '');
      const server = await start(script, shell);
      await server.stop();
      assert.is(readFileSync(log, 'utf8'), 'drained with its data');
    }
  });
});

test('what a command leaves behind is ended with it', async () => {
  await withTempDir(async (directory) => {
    const script = join(directory, 'server.cjs');
    const pidFile = join(directory, 'pid');
    writeFileSync(
      script,
      `${slowServer(join(directory, 'log'), 0)}
      const child = require('node:child_process').spawn('sleep', ['2'], { stdio: 'ignore' });
      writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));`,
    );
    const server = await start(script, (command) => `exec ${command}`);
    await server.stop();
    const pid = Number(readFileSync(pidFile, 'utf8'));
    assert.not(isRunning(pid), 'it ended, or was ended');
  });
});

function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
}

test('a port that somebody else has is not free', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  assert.not(await isFree(port));
  await new Promise((resolve) => server.close(resolve));
  assert.ok(await isFree(port));
});

test.run();
