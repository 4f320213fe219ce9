#!/usr/bin/env node
// The command line's entry: finds the pinned runtime and hands over to the room that knows the
// command. Plain JavaScript, because any Node can start it; everything behind it runs on the Node
// that package.json pins, for which the socket library ships its binaries.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const require = createRequire(import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
const pinned = manifest.dependencies.node;

// The runner's thread and those of its workers share cores. Collection on helper threads would stall a
// loop by whole time slices; and a main thread with little to do would use the time to make its heap
// smaller, at the cost of the worker beside it. Measured on two cores at 10,000 messages/s, pairs:
// p99 of confirm 5.9, 12.3 and 49 ms with the memory reducer, 3.5, 4.4 and 15 ms without.
const ONE_CORE = ['--single-threaded-gc', '--no-memory-reducer'];

const COMMANDS = {
  serve: { room: 'server', does: 'runs the reference server' },
  token: { room: 'server', does: 'mints a token for a uid' },
  bench: {
    room: 'bench',
    does: 'runs the benchmark suite against a fresh server, or --target URL',
    runtimeFlags: ONE_CORE,
  },
  compare: {
    room: 'bench',
    does: 'says whether one commit or server is slower than another, or only noise',
    runtimeFlags: ONE_CORE,
  },
  capacity: {
    room: 'bench',
    does: 'finds the highest rate within an SLO, and what each operation costs',
    runtimeFlags: ONE_CORE,
  },
  explain: { room: 'bench', does: 'tells what happened to one message of a traced run' },
  history: { room: 'bench', does: 'shows figures over commits, and where they changed' },
  oracle: {
    room: 'bench',
    does: 'measures what is known beforehand, and says how far off the bench was',
    runtimeFlags: ONE_CORE,
  },
  plan: { room: 'bench', does: 'nodes, memory, network, disk and cost for your users' },
  fleet: { room: 'bench', does: 'simulates that fleet: a day, a lost node, a storm, a deploy' },
  report: { room: 'bench', does: 'writes one HTML page with every plot of result files' },
  sim: { room: 'sim', does: 'proves the protocol in simulated worlds' },
  doctor: { room: 'bench', does: 'checks file limits, ports, clock and cores' },
};

function help() {
  const lines = Object.entries(COMMANDS).map(([name, { does }]) => `  ${name.padEnd(8)} ${does}`);
  return `ackbench ${manifest.version}: load tests and an exact delivery audit for instant messaging

Usage: ackbench <command> [flags]     (in a checkout: npm run <command> -- [flags])

${lines.join('\n')}

ackbench <command> --help lists the flags of a command.
`;
}

async function run() {
  const [name, ...argv] = process.argv.slice(2);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    process.exitCode = name === undefined ? 2 : 0;
    return;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${manifest.version}\n`);
    return;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    process.stderr.write(`ackbench: unknown command ${name}\n\n${help()}`);
    process.exitCode = 2;
    return;
  }
  const flags = command.runtimeFlags ?? [];
  const isPinned = process.versions.node.split('.')[0] === pinned.split('.')[0];
  if (!isPinned || flags.some((flag) => !process.execArgv.includes(flag))) {
    handOver(isPinned ? process.execPath : require.resolve('node/bin/node'), flags);
    return;
  }
  // Whoever handed over was killed: nobody would stop this process any more.
  if (process.env.ACKBENCH_HANDED_OVER !== undefined && process.channel) {
    process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
    process.channel.unref();
  }
  module.enableCompileCache?.(); // servers are started often; this halves their start
  // In a checkout the source runs as it is; the published package holds the compiled rooms.
  const source = new URL(`${command.room}/index.ts`, root);
  const compiled = new URL(`dist/${command.room}/index.js`, root);
  const { main } = await import(existsSync(fileURLToPath(source)) ? source : compiled);
  await main(name, argv);
}

/** Runs this file again on the pinned runtime; signals and the exit code pass through. */
function handOver(runtime, flags) {
  const known = process.execArgv.filter((flag) => !flags.includes(flag));
  const child = spawn(runtime, [...known, ...flags, ...process.argv.slice(1)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ACKBENCH_HANDED_OVER: '1' },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // A terminal sends Ctrl-C to the whole group: then only keep this process from dying first.
    const reachesChild = signal === 'SIGINT' && process.stdin.isTTY === true;
    process.on(signal, () => reachesChild || child.kill(signal));
  }
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 70) : 128 + constants.signals[signal];
  });
}

await run();
