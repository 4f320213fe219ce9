/** CPU and memory of a process, seen from outside. Linux only; elsewhere the sampler says null. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sampleProcess } from '../../loadgen/process-sampler.ts';

const isLinux = process.platform === 'linux';
const onLinux = isLinux ? test : test.skip;

function burn(cpuUs: number): void {
  const start = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(start);
    if (user + system >= cpuUs) return;
  }
}

onLinux('agrees with what the process knows of itself', () => {
  const before = sampleProcess(process.pid);
  const ownBefore = process.cpuUsage();
  burn(300_000);
  const { user, system } = process.cpuUsage(ownBefore);
  const after = sampleProcess(process.pid);
  if (before === null || after === null) return assert.unreachable('no sample of this process');
  const usedUs = after.cpuUs - before.cpuUs;
  const ownUs = user + system;
  assert.ok(usedUs >= 0.9 * ownUs - 20_000, `${usedUs} us seen, ${ownUs} us used`);
  assert.ok(usedUs <= 1.1 * ownUs + 20_000, `${usedUs} us seen, ${ownUs} us used`);
});

onLinux('sees resident memory grow, and the peak stay', () => {
  const before = sampleProcess(process.pid);
  const block = Buffer.alloc(64 * 2 ** 20, 1);
  const after = sampleProcess(process.pid);
  if (before === null || after === null) return assert.unreachable('no sample of this process');
  assert.is(block[block.length - 1], 1);
  assert.ok(after.rssBytes - before.rssBytes > 48 * 2 ** 20);
  assert.ok(after.peakRssBytes >= after.rssBytes);
  const own = process.memoryUsage.rss();
  assert.ok(Math.abs(after.rssBytes - own) < 0.2 * own, `${after.rssBytes} seen, ${own} own`);
});

onLinux('counts the time of other threads', async () => {
  const { Worker } = await import('node:worker_threads');
  const before = sampleProcess(process.pid);
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const end = performance.now() + 300;
     while (performance.now() < end);
     parentPort.on('message', () => process.exit());
     parentPort.postMessage(process.threadCpuUsage === undefined ? 0 : process.threadCpuUsage().user);`,
    { eval: true },
  );
  const [userUs] = (await once(worker, 'message')) as [number];
  const after = sampleProcess(process.pid);
  worker.postMessage('end');
  await once(worker, 'exit');
  if (before === null || after === null) return assert.unreachable('no sample of this process');
  assert.ok(after.cpuUs - before.cpuUs >= 0.8 * userUs - 20_000);
});

test('has nothing to say about a process that is gone', async () => {
  const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
  const { pid } = child;
  await once(child, 'exit');
  assert.is(sampleProcess(pid as number), null);
});

test.run();
