/**
 * From the journal of disk-shim.c to what the disk may hold after a power loss.
 *
 * The disk writes sectors of 512 bytes, each whole or not at all, in any order. A write gives every
 * sector that it touches a new version, the content of the page cache at that moment:
 *
 *     sector 8    durable | v1 (write 3) | v2 (write 7)        a sync that began after write 3
 *     sector 9    durable |              | v1 (write 7)        makes v1 of sector 8 the durable one
 *
 * After a power loss a sector holds its durable version or any later one. That is every subset of
 * what was not synced, in every order, torn at every sector: harsher than any one disk.
 *
 * A sync that failed makes nothing durable, and nothing that a later sync does helps the versions
 * from before it: the kernel takes their pages for clean and writes them no more (Rebello et al.,
 * "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
 */
import type { Random } from '../../sim/random.ts';

const SECTOR_BYTES = 512;
const MAGIC = 0x314b5344;
const HEADER_BYTES = 32;

export const RecordKind = {
  Open: 1,
  Write: 2,
  Synced: 3,
  WriteDurable: 4,
  SyncFailed: 5,
  Truncate: 6,
  WriteFailed: 7,
  Renamed: 8,
  NameSynced: 9,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

export interface JournalRecord {
  readonly kind: RecordKind;
  /** Where it begins and ends in the journal, in bytes. */
  readonly place: number;
  readonly end: number;
  /** In the file. */
  readonly offset: number;
  readonly data: Buffer;
  /** A place: of the write that ended, or where the sync began. */
  readonly ref: number;
}

/**
 * Every whole record of a piece of the journal that begins at place `from`; a process that was killed
 * may have left a part of one at the end.
 */
export function parseJournal(journal: Buffer, from = 0): JournalRecord[] {
  const records: JournalRecord[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= journal.length) {
    if (journal.readUInt32LE(at) !== MAGIC) throw new Error(`no record at ${from + at}`);
    const bytes = Number(journal.readBigUInt64LE(at + 16));
    const end = at + HEADER_BYTES + bytes;
    if (end > journal.length) break;
    records.push({
      kind: journal.readUInt32LE(at + 4) as RecordKind,
      place: from + at,
      end: from + end,
      offset: Number(journal.readBigUInt64LE(at + 8)),
      data: journal.subarray(at + HEADER_BYTES, end),
      ref: Number(journal.readBigUInt64LE(at + 24)),
    });
    at = end;
  }
  return records;
}

interface Version {
  /** The place of the write that made it. */
  readonly write: number;
  readonly data: Buffer;
  /** A sync that should have made it durable failed: no later one will. */
  isGivenUp: boolean;
}

/** Which of the unsynced versions a power loss leaves on the disk. */
export const Mood = {
  /** None: nothing had been written back. */
  Nothing: 'nothing',
  /** All of them. */
  Everything: 'everything',
  /** Whole writes, each by chance. */
  Writes: 'writes',
  /** Each sector by itself, any of its versions. */
  Sectors: 'sectors',
  /** The newest writes without the older ones, the oldest of those torn. */
  Late: 'late',
  /** The oldest writes without the newer ones, the newest of those torn. */
  Early: 'early',
} as const;
export type Mood = (typeof Mood)[keyof typeof Mood];
export const MOODS = Object.values(Mood);

export interface PowerLoss {
  /** What the file holds when the power is back. */
  readonly image: Buffer;
  /** Under which name: its own, or still the one under which it was being made. */
  readonly isNamed: boolean;
  /** Unsynced writes that are wholly there, partly, and not at all. */
  readonly kept: number;
  readonly torn: number;
  readonly discarded: number;
}

/** A file that grows. */
class Content {
  bytes: Buffer;
  length: number;

  constructor(initial: Buffer) {
    this.bytes = Buffer.from(initial);
    this.length = initial.length;
  }

  write(offset: number, data: Buffer): void {
    const end = offset + data.length;
    if (end > this.bytes.length) {
      const grown = Buffer.alloc(Math.max(end, 2 * this.bytes.length));
      this.bytes.copy(grown);
      this.bytes = grown;
    }
    data.copy(this.bytes, offset);
    this.length = Math.max(this.length, end);
  }

  get whole(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }
}

export class DiskModel {
  /** What a process sees that reads the file. */
  private readonly cache: Content;
  private readonly durable: Content;
  private readonly unsynced = new Map<number, Version[]>();
  /** The file has its own name, and a power loss cannot take it away any more. */
  private isNamed: boolean;
  private isNameDurable: boolean;
  /** By place. */
  private readonly writes = new Map<number, JournalRecord>();
  /** What the newest write replaced, and how long the file was before it. */
  private overwritten: Buffer = Buffer.alloc(0);
  private lengthBefore = 0;

  /** `initial` is durable; null = there is no file yet. */
  constructor(initial: Buffer | null) {
    this.cache = new Content(initial ?? Buffer.alloc(0));
    this.durable = new Content(initial ?? Buffer.alloc(0));
    this.isNamed = initial !== null;
    this.isNameDurable = initial !== null;
  }

  /** The file as the page cache has it: what is found after a mere SIGKILL. */
  get cached(): Buffer {
    return this.cache.whole;
  }

  /** The same without the newest write, which a killed process may have noted and not made. */
  get cachedBeforeLastWrite(): Buffer {
    const last = [...this.writes.values()].at(-1);
    const cache = new Content(this.cache.whole);
    if (last !== undefined) cache.write(last.offset, this.overwritten);
    return cache.whole.subarray(0, this.lengthBefore);
  }

  /** The next record of the journal. */
  apply(record: JournalRecord): void {
    switch (record.kind) {
      case RecordKind.Open:
        if (record.ref === 1) this.isNamed = true;
        return;
      case RecordKind.Write:
        this.write(record);
        return;
      case RecordKind.Synced:
        for (const sector of [...this.unsynced.keys()]) {
          this.settle(sector, ({ write, isGivenUp }) => write < record.ref && !isGivenUp);
        }
        return;
      case RecordKind.WriteDurable:
        for (const sector of sectorsOf(this.writes.get(record.ref) as JournalRecord)) {
          this.settle(sector, ({ write }) => write === record.ref);
        }
        return;
      case RecordKind.SyncFailed:
        for (const versions of this.unsynced.values()) {
          for (const version of versions) if (version.write < record.ref) version.isGivenUp = true;
        }
        return;
      case RecordKind.WriteFailed:
        for (const versions of this.unsynced.values()) {
          for (const version of versions) {
            if (version.write === record.ref) version.isGivenUp = true;
          }
        }
        return;
      case RecordKind.Renamed:
        this.isNamed = true;
        return;
      case RecordKind.NameSynced:
        this.isNameDurable = this.isNamed;
        return;
      case RecordKind.Truncate:
        throw new Error('truncating is not modelled');
    }
  }

  /** Changes nothing here: one moment has many possible losses. */
  losePower(mood: Mood, random: Random): PowerLoss {
    const image = new Content(this.durable.whole);
    const fates = new Map<number, { kept: number; lost: number }>();
    const keeps = this.chooser(mood, random);
    for (const [sector, versions] of this.unsynced) {
      const chosen = versions.findLast((version) => keeps(version.write));
      if (chosen !== undefined) image.write(sector * SECTOR_BYTES, chosen.data);
      for (const version of versions) {
        const fate = fates.get(version.write) ?? { kept: 0, lost: 0 };
        fates.set(version.write, fate);
        if (version === chosen) fate.kept++;
        else fate.lost++;
      }
    }
    const all = [...fates.values()];
    return {
      image: image.whole,
      isNamed: this.isNameDurable || (this.isNamed && random.chance(0.5)),
      kept: all.filter(({ lost }) => lost === 0).length,
      torn: all.filter(({ kept, lost }) => kept > 0 && lost > 0).length,
      discarded: all.filter(({ kept }) => kept === 0).length,
    };
  }

  /** Says, asked sector by sector, whether the version of this write is on the disk. */
  private chooser(mood: Mood, random: Random): (write: number) => boolean {
    const places = new Set<number>();
    for (const versions of this.unsynced.values()) {
      for (const { write } of versions) places.add(write);
    }
    const writes = [...places].sort((a, b) => a - b);
    const edge = writes[random.int(0, Math.max(0, writes.length - 1))] ?? 0;
    switch (mood) {
      case Mood.Nothing:
        return () => false;
      case Mood.Everything:
        return () => true;
      case Mood.Writes: {
        const kept = new Set(writes.filter(() => random.chance(0.5)));
        return (write) => kept.has(write);
      }
      case Mood.Sectors: {
        const share = random.int(1, 9) / 10;
        return () => random.chance(share);
      }
      case Mood.Late:
        return (write) => write > edge || (write === edge && random.chance(0.5));
      case Mood.Early:
        return (write) => write < edge || (write === edge && random.chance(0.5));
    }
  }

  private write(record: JournalRecord): void {
    const end = Math.min(record.offset + record.data.length, this.cache.length);
    this.overwritten = Buffer.from(this.cache.bytes.subarray(record.offset, end));
    this.lengthBefore = this.cache.length;
    this.cache.write(record.offset, record.data);
    this.writes.set(record.place, record);
    for (const sector of sectorsOf(record)) {
      const start = sector * SECTOR_BYTES;
      const end = Math.min(start + SECTOR_BYTES, this.cache.length);
      const data = Buffer.from(this.cache.bytes.subarray(start, end));
      const versions = this.unsynced.get(sector) ?? [];
      this.unsynced.set(sector, versions);
      versions.push({ write: record.place, data, isGivenUp: false });
    }
  }

  /** The newest version for which `isDurable` holds becomes the durable one; older ones are past. */
  private settle(sector: number, isDurable: (version: Version) => boolean): void {
    const versions = this.unsynced.get(sector);
    if (versions === undefined) return;
    const at = versions.findLastIndex(isDurable);
    if (at < 0) return;
    this.durable.write(sector * SECTOR_BYTES, (versions[at] as Version).data);
    versions.splice(0, at + 1);
    if (versions.length === 0) this.unsynced.delete(sector);
  }
}

function sectorsOf({ offset, data }: JournalRecord): number[] {
  const first = Math.floor(offset / SECTOR_BYTES);
  const last = Math.floor((offset + data.length - 1) / SECTOR_BYTES);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
