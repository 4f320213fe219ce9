/**
 * How a load is laid out on this machine: how many generators, how many independent servers, and
 * which limit binds when it does not fit.
 *
 *     users    0 …………… n/2 | n/2 …………… n      one part per server; nobody writes across
 *     servers      0             1
 *     workers   0  |  1       2  |  3           slices of a part
 *
 * A socket is an open file on both of its ends, so the limit of open files per process bounds the
 * clients of one generator process and the connections of one server. A thread shares the files of
 * its process: beyond that limit generators are processes.
 */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { connectionsMax, isLoopback } from '../loadgen/index.ts';
import { formatBytes, formatCount } from './units.ts';

/** Files of a process that are no client: libraries, store, pipes, threads. */
export const RESERVED_FILES = 500;
/** Generator processes that share a core: with more of them they only wait for each other. */
const PROCESSES_PER_CORE = 4;
/**
 * Resident and kernel memory of one idle connection with both of its ends, measured with 50,000
 * clients: docs/PERFORMANCE.md. Under load come buffers and books on top.
 */
const BYTES_PER_CLIENT = 24_000;
/** Of a generator and a server process without clients. */
const BYTES_PER_PROCESS = 150_000_000;

/** What the machine allows. */
export interface MachineLimits {
  /** Per process; 0 = unknown or unlimited. */
  readonly openFiles: number;
  readonly cores: number;
  /** Of all processes; Infinity = unknown. */
  readonly systemFiles: number;
  readonly freeBytes: number;
  /** Ports of one source address for one target. */
  readonly ports: number;
}

export interface LoadSize {
  readonly clients: number;
  /** Worker threads wanted. */
  readonly workers: number;
  /** Servers wanted; null = as many as their open files ask for. */
  readonly servers: number | null;
  /** Host of somebody else's server, whose own limits are not known; null = a server of ours. */
  readonly targetHost: string | null;
}

export interface Layout {
  readonly servers: number;
  readonly generators: number;
  readonly generatorsAre: 'threads' | 'processes';
  /** Why there is more than one server, or why generators are processes; empty otherwise. */
  readonly reason: string;
}

/** The limits of this machine, as the system tells them. */
export function machineLimits(openFiles: number): MachineLimits {
  const number = (file: string): number => Number(readFileSync(file, 'utf8').split(/\s+/)[0]);
  const known = (read: () => number, otherwise: number): number => {
    try {
      const value = read();
      return Number.isFinite(value) ? value : otherwise;
    } catch {
      return otherwise; // not Linux
    }
  };
  return {
    openFiles,
    cores: os.cpus().length,
    systemFiles: known(() => number('/proc/sys/fs/file-max'), Infinity),
    freeBytes: known(() => {
      const text = readFileSync('/proc/meminfo', 'utf8');
      return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1]) * 1024;
    }, os.freemem()),
    ports: known(() => {
      const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
      const [low, high] = text.trim().split(/\s+/).map(Number) as [number, number];
      return high - low + 1;
    }, 28_000),
  };
}

/** The layout of a load, or a sentence that names the limit that it does not fit in. */
export function layoutOf(size: LoadSize, limits: MachineLimits): Layout | { binds: string } {
  const { clients, workers, targetHost } = size;
  const perProcess = limits.openFiles === 0 ? Infinity : limits.openFiles - RESERVED_FILES;
  if (perProcess < 1) {
    return { binds: `open files: a process may open ${limits.openFiles} (ulimit -n)` };
  }
  const files = Math.ceil(clients / perProcess);
  const servers = targetHost === null ? (size.servers ?? files) : 1;
  const isOneProcess = clients <= perProcess;
  // Every part has a generator of its own: its users and those of the next are strangers.
  const generators = Math.max(workers, files, servers);
  const layout: Layout = {
    servers,
    generators: Math.min(generators, clients),
    generatorsAre: isOneProcess ? 'threads' : 'processes',
    reason: isOneProcess
      ? ''
      : `${formatCount(clients)} clients, and a process may open ${limits.openFiles} files (ulimit -n)`,
  };
  const binds = bindingLimit(layout, size, limits, perProcess);
  return binds === null ? layout : { binds };
}

function bindingLimit(
  layout: Layout,
  { clients, targetHost }: LoadSize,
  limits: MachineLimits,
  perProcess: number,
): string | null {
  const { servers, generators, generatorsAre } = layout;
  if (targetHost === null && Math.ceil(clients / servers) > perProcess) {
    return (
      `open files: ${servers} ${servers === 1 ? 'server takes' : 'servers take'} at most ` +
      `${formatCount(servers * perProcess)} connections (ulimit -n ${limits.openFiles})`
    );
  }
  const processesMax = PROCESSES_PER_CORE * limits.cores;
  if (generatorsAre === 'processes' && generators > processesMax) {
    return (
      `cores: at ${limits.openFiles} open files per process (ulimit -n) it takes ${generators} ` +
      `generator processes, and ${processesMax} are the most for this machine's cores`
    );
  }
  const ends = targetHost === null || isLoopback(targetHost) ? 2 : 1;
  if (ends * clients > limits.systemFiles) {
    return (
      `open files of the system: ${formatCount(ends * clients)} are needed, ` +
      `${formatCount(limits.systemFiles)} are allowed (fs.file-max)`
    );
  }
  if (targetHost !== null && clients > connectionsMax(targetHost, limits.ports)) {
    return (
      `local ports: ${formatCount(limits.ports)} to one address ` +
      '(net.ipv4.ip_local_port_range); a target in 127.0.0.0/8 or several machines have more'
    );
  }
  const processes = generatorsAre === 'processes' ? generators : 1;
  const needed = clients * BYTES_PER_CLIENT + (processes + servers) * BYTES_PER_PROCESS;
  if (needed > limits.freeBytes) {
    return (
      `memory: about ${formatBytes(needed)} are needed at ${formatBytes(BYTES_PER_CLIENT)} per ` +
      `client with both ends, ${formatBytes(limits.freeBytes)} are available`
    );
  }
  return null;
}
