/** Findings of the oracles as text. */
import { columns } from '../columns.ts';
import { formatUs } from '../units.ts';
import type { Finding, Reading } from './oracles.ts';

export function renderFindings(
  findings: readonly Finding[],
  { isInterrupted = false } = {},
): string {
  const lines: string[] = [];
  const rows = [['oracle', 'quantile', 'known', 'reported', 'off', 'allowed', 'closed loop', '']];
  for (const { name, readings } of findings) {
    for (const reading of readings) rows.push(cells(name, reading));
  }
  if (rows.length > 1) lines.push(columns(rows));
  for (const { name, what, note, ok, invalid, readings } of findings) {
    const isRight = ok && readings.every((reading) => reading.ok);
    const word = invalid.length > 0 ? 'invalid' : isRight ? 'ok' : 'OFF';
    lines.push(`  ${name}: ${word}: ${what}${note === '' ? '' : `; ${note}`}`);
    lines.push(...invalid.map((reason) => `    ! ${reason}`));
  }
  const off = findings.filter(
    ({ ok, readings }) => !ok || readings.some((each) => !each.ok),
  ).length;
  const word = isInterrupted ? 'INTERRUPTED' : off === 0 ? 'RIGHT' : 'OFF';
  lines.push('', `${word}: ${findings.length - off} of ${findings.length} oracles`);
  return `${lines.join('\n')}\n`;
}

function cells(name: string, reading: Reading): string[] {
  const { quantile, expectedUs, reportedUs, toleranceUs, naiveUs, ok } = reading;
  const off = reportedUs - expectedUs;
  return [
    name,
    `p${Number((100 * quantile).toFixed(2))}`,
    formatUs(expectedUs),
    formatUs(reportedUs),
    `${off < 0 ? '-' : '+'}${formatUs(Math.abs(off))} (${((100 * off) / expectedUs).toFixed(1)} %)`,
    formatUs(toleranceUs),
    naiveUs === null ? '' : formatUs(naiveUs),
    ok ? 'ok' : 'OFF',
  ];
}
