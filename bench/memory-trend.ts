/**
 * Does the server's memory grow? Resident bytes sampled every second of the load, and the slope of the
 * least-squares line through the last four fifths of it: what a start allocates is over by then.
 */

export interface MemoryTrend {
  /** Seconds that the line covers. */
  seconds: number;
  meanBytes: number;
  bytesPerHour: number;
  /** Growth in an hour over the mean; 0.01 = 1 %. */
  perHour: number;
}

/** Below it a slope says more about the garbage collector than about the server. */
const SECONDS_MIN = 60;
const SKIPPED_SHARE = 0.2;

export class MemorySamples {
  private readonly seconds: number[] = [];
  private readonly bytes: number[] = [];

  /** Seconds since the start of the load, and the resident bytes of all servers. */
  add(second: number, bytes: number): void {
    this.seconds.push(second);
    this.bytes.push(bytes);
  }

  /** Null when the load was too short to tell. */
  trend(): MemoryTrend | null {
    const last = this.seconds.at(-1) ?? 0;
    const from = this.seconds.findIndex((second) => second >= last * SKIPPED_SHARE);
    const seconds = this.seconds.slice(from);
    const bytes = this.bytes.slice(from);
    const covered = last - (seconds[0] ?? 0);
    if (covered < SECONDS_MIN) return null;
    const mean = (values: readonly number[]): number =>
      values.reduce((sum, value) => sum + value, 0) / values.length;
    const meanSecond = mean(seconds);
    const meanBytes = mean(bytes);
    let together = 0;
    let spread = 0;
    for (const [i, second] of seconds.entries()) {
      together += (second - meanSecond) * ((bytes[i] as number) - meanBytes);
      spread += (second - meanSecond) ** 2;
    }
    const bytesPerHour = (3600 * together) / spread;
    return { seconds: covered, meanBytes, bytesPerHour, perHour: bytesPerHour / meanBytes };
  }
}
