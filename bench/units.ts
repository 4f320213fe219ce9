/** Durations, counts and numbers as people write and read them. */

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `30s`, `500ms`, `1h30m` or a plain number of seconds; NaN for anything else. In ms. */
export function parseDurationMs(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return NaN;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(amount) * (DURATION_MS[unit as string] as number);
  }
  return total;
}

/** `10k`, `1.5m` or a plain number; NaN for anything else. */
export function parseCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([km]?)$/i.exec(text);
  if (match === null) return NaN;
  const factor = { '': 1, k: 1e3, m: 1e6 }[(match[2] as string).toLowerCase()] as number;
  return Number(match[1]) * factor;
}

/** 1234567 -> 1,234,567. */
export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 message`, `2 messages`. */
export function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** Three significant digits with a unit that fits; null = too few samples. */
export function formatUs(us: number | null): string {
  if (us === null) return '-';
  if (us >= 3_600_000_000) return 'never';
  if (us >= 1e6) return `${significant(us / 1e6)} s`;
  if (us >= 1e3) return `${significant(us / 1e3)} ms`;
  return `${significant(us)} us`;
}

/** Bytes as KiB, MiB or GiB; null = not known. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null) return '-';
  if (bytes >= 2 ** 30) return `${significant(bytes / 2 ** 30)} GiB`;
  if (bytes >= 2 ** 20) return `${significant(bytes / 2 ** 20)} MiB`;
  if (bytes >= 2 ** 10) return `${significant(bytes / 2 ** 10)} KiB`;
  return `${Math.round(bytes)} B`;
}

/** Three significant digits without an exponent. */
export function significant(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return digits === 0 ? formatCount(value) : value.toFixed(Math.min(digits, 3));
}

/** What came from a file, fit for a terminal: control characters but the end of a line are shown, not obeyed. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, '\ufffd');
}

/** 90,000 -> `1m30s`; below a second in ms. */
export function formatDurationMs(ms: number): string {
  let rest = Math.round(ms);
  if (rest < 1000) return `${rest}ms`;
  let text = '';
  for (const [unit, size] of Object.entries(DURATION_MS).toReversed()) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}
