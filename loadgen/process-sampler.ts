/**
 * CPU and memory of another process, from outside (Linux: /proc; elsewhere null): the server under
 * test is not asked, so any server can be measured and none can flatter itself.
 *
 * CPU comes from the scheduler's own account per thread in ns (/proc/PID/task/TID/schedstat); the
 * ticks of /proc/PID/stat (10 ms) are the fallback.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessSample {
  /** CPU time since its start, µs, all threads that live now. */
  cpuUs: number;
  rssBytes: number;
  peakRssBytes: number;
}

const TICK_US = 10_000;

/** Null when the process is gone or the system has no /proc. */
export function sampleProcess(pid: number): ProcessSample | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      cpuUs: cpuUsOf(pid),
      rssBytes: kibOf(status, 'VmRSS') * 1024,
      peakRssBytes: kibOf(status, 'VmHWM') * 1024,
    };
  } catch {
    return null;
  }
}

/**
 * A process and all that it started and that lives now, summed: of a server that is several processes,
 * or that a shell started. Peaks are summed, too, which is an upper bound.
 */
export function sampleTree(pid: number): ProcessSample | null {
  const own = sampleProcess(pid);
  if (own === null) return null;
  return childrenOf(pid)
    .map(sampleTree)
    .reduce<ProcessSample>(
      (sum, child) => ({
        cpuUs: sum.cpuUs + (child?.cpuUs ?? 0),
        rssBytes: sum.rssBytes + (child?.rssBytes ?? 0),
        peakRssBytes: sum.peakRssBytes + (child?.peakRssBytes ?? 0),
      }),
      own,
    );
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
        .split(' ')
        .filter((text) => text !== '')
        .map(Number),
    );
  } catch {
    return []; // gone, or a kernel that does not list them
  }
}

function cpuUsOf(pid: number): number {
  try {
    let ns = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
      ns += Number(text.split(' ')[0]);
    }
    if (ns > 0) return ns / 1000;
  } catch {
    // A kernel without schedstat.
  }
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

function kibOf(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
}
