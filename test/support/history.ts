/** Lines of a history, for tests of what is made of it. */
import type { HistoryLine } from '../../bench/history/record.ts';

export const HERE = 'a cpu, 2 cores, v22';

/** 40 hex digits that begin with a readable number. */
export function shaOf(commit: number): string {
  return String(commit).padStart(4, '0').padEnd(40, 'a');
}

/** One run: `at` = minutes since a new year, so that lines have an order. */
export function line(at: number, facts: Partial<HistoryLine> = {}): HistoryLine {
  return {
    schema: 1,
    startedAt: new Date(Date.UTC(2025, 0, 1, 0, at)).toISOString(),
    sha: shaOf(at),
    dirty: false,
    branch: 'main',
    machine: { cpuModel: 'a cpu', cores: 2, node: 'v22' },
    verdict: 'pass',
    metrics: { 'steady.serverCpu': 20 },
    loads: { steady: 'a-load' },
    ...facts,
  };
}
