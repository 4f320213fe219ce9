/**
 * Percentile distributions of HdrHistogram (`Value Percentile TotalCount 1/(1-Percentile)`), as its
 * plotter reads them: one file per run and latency, in ms. What never arrived stands at one hour.
 */
import { percentileText } from '../../loadgen/index.ts';
import type { Result } from '../result.ts';
import { runsOf, uniqueNames } from './runs.ts';

/** File names without directory, and texts. Latencies without a sample have none. */
export function renderHgrm(result: Result): { name: string; text: string }[] {
  const uniqueName = uniqueNames('-');
  return runsOf(result).flatMap(({ label, result: { latency } }) =>
    Object.entries(latency)
      .filter(([, { count }]) => count > 0)
      .map(([key, { hdr }]) => ({
        name: `${uniqueName(fileNameOf(`${label} ${key.replace(/Us$/, '')}`))}.hgrm`,
        text: percentileText(hdr),
      })),
  );
}

/** Variants have any name; a file has not. */
function fileNameOf(label: string): string {
  return label.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^[-.]+|-+$/g, '');
}
