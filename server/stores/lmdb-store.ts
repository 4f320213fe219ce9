/**
 * The durable inbox, and the only file that knows lmdb. One key per message:
 *
 *     key    receiver u64 BE | position u64 BE
 *     value  timeMs u64 | sender u64 | epoch u32 | seq u32 | msgType u8 | content     (LE)
 *
 * so that the rows of a receiver lie together, oldest first. Two more keys, past every uid: the
 * schema version, and the last position, written in each commit that stores rows.
 *
 * Group commit: writes collect while a commit is in flight and go together when it ends, or at the
 * end of the turn when none is; a batch grows with the load. lmdb works on its own thread.
 *
 *     put put put | put del put put | ...          one line of batches, one of them in flight
 *      in flight       collecting
 *
 * Durable: an Ok is answered after fdatasync of the rows and a synchronous write of the page that
 * makes them count. lmdb-js by default (`overlappingSync`) resolves a write before it is flushed; it
 * is off here, so its promise means synced (checked with strace: fdatasync and an O_DSYNC pwrite
 * precede each answer). `noSync` is off as well. Rows/s are the same with either. Opening commits too:
 * a server that was killed may have left a row in the page cache that is not on the disk yet, and a
 * repeat of it is answered Ok without a commit of its own.
 *
 * Fail-stop: after a failed sync the kernel takes the pages for clean, and no later sync says that
 * they are lost (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
 * So the store fails every operation from then on, until a new process has opened the file: that is
 * sound, because the root page is written only after the sync of what it names. The exception is a
 * full disk that refused a write: then nothing has been synced, and the next commit writes anew.
 *
 * Cost, all on one core: 14 us of CPU per stored row of 128 bytes in batches of 200 over 100 inboxes,
 * 20 us over 1000 (each inbox in a batch dirties a 4 KiB page of its own), 5 us of it on the event
 * loop; 5 to 7 us per drained row. Reads happen on the loop: point gets, which wait for the disk when
 * the rows are not in the page cache, and 2 us per row to load an inbox.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { assert, type Row, type SenderCount, Status } from '../../protocol/index.ts';
import { lockDirectory } from './directory-lock.ts';
import { type Entry, EntryState, type Inbox, InboxIndex, nextPosition } from './inbox-index.ts';
import { damageOf } from './lmdb-file.ts';
import {
  EMPTY_PAGE,
  type InboxLimits,
  type NewRow,
  type Page,
  type PageQuery,
  type PageRange,
  type Store,
  type StoreStats,
} from './store.ts';

export interface LmdbStoreOptions {
  /** Directory of the store; made when it does not exist. */
  readonly path: string;
  readonly limits: InboxLimits;
  /** ms since 1970; default `Date.now`. */
  readonly now?: () => number;
  /** Rows and repeats that may wait for a commit; beyond it `put` answers Overloaded. */
  readonly maxPendingPuts?: number;
  /**
   * Rows that may wait for their deletion; beyond it `deletePage` and `remove` answer Overloaded.
   * They are in the index anyway, so each costs little, and a refused deletion costs the page once
   * more: with one bound for both, inboxes drained at once were pulled two and a half times.
   */
  readonly maxPendingDeletions?: number;
  /** Rows, plus one per inbox, that the index holds before it evicts idle inboxes. */
  readonly maxIndexedRows?: number;
  /** Told the cause of every StoreFailed but those after `close`; default: nobody. */
  readonly onError?: (error: Error) => void;
}

/** The store cannot be opened; the message is one sentence for whoever started the server. */
export class StoreOpenError extends Error {
  override readonly name = 'StoreOpenError';
}

/** Opens or makes the store at `options.path`, synchronously. Throws `StoreOpenError`. */
export function openLmdbStore(options: LmdbStoreOptions): Store {
  return new LmdbStore(options);
}

const SCHEMA_VERSION = 1;
const VERSION_KEY = Buffer.from('ackbench.version');
const POSITION_KEY = Buffer.from('ackbench.position');
const KEY_BYTES = 16;
const HEADER_BYTES = 25;
const TWO_32 = 4294967296;
/** A batch is encoded in one go; this bounds the pause (about 10 ms) when very much has collected. */
const BATCH_MAX_WRITES = 8192;

/** Linux and macOS; Windows, where lmdb-js numbers differ, just stops in more cases. */
const ENOSPC = 28;
const EDQUOT = 122;

type Db = RootDatabase<Uint8Array, Uint8Array>;
type Answer = (status: Status) => void;

/** What a failed commit left on the disk is not known. */
class DiskFailure extends Error {
  override readonly name = 'DiskFailure';
}

/** The writes of one commit, in the order in which they came. */
class Batch {
  readonly stored: Entry<Batch>[] = [];
  /** Parallel to `stored`. */
  readonly rows: NewRow[] = [];
  readonly deleted: Entry<Batch>[] = [];
  /** Called in order when the commit has ended. */
  readonly answers: Answer[] = [];
  contentBytes = 0;
  /** What it counts against `maxPendingPuts` and `maxPendingDeletions`. */
  puts = 0;
  deletions = 0;

  get writes(): number {
    return this.puts + this.deletions;
  }
}

/** Exported for tests, which override `commit`; everybody else calls `openLmdbStore`. */
export class LmdbStore implements Store {
  readonly kind = 'lmdb';
  readonly survives = 'crashes of the process and of the machine, and power failures';
  private readonly limits: InboxLimits;
  private readonly now: () => number;
  private readonly maxPendingPuts: number;
  private readonly maxPendingDeletions: number;
  private readonly onError: (error: Error) => void;
  private readonly unlock: () => void;
  private readonly db: Db;
  private readonly index: InboxIndex<Batch>;
  private lastPosition: number;

  private inFlight: Batch | null = null;
  private waiting: Batch[] = [];
  private isScheduled = false;
  private pendingPuts = 0;
  private pendingDeletions = 0;
  private commits = 0;
  private commitFailures = 0;
  /** Set by the first commit that may have failed in a sync. */
  private isStopped = false;
  private closed: Promise<void> | null = null;
  private onIdle: (() => void) | null = null;

  constructor(options: LmdbStoreOptions) {
    this.limits = options.limits;
    this.now = options.now ?? Date.now;
    this.maxPendingPuts = options.maxPendingPuts ?? 100_000;
    this.maxPendingDeletions = options.maxPendingDeletions ?? 1_000_000;
    this.onError = options.onError ?? (() => {});
    this.index = new InboxIndex({ maxIndexedRows: options.maxIndexedRows ?? 500_000 });
    const opened = openDirectory(options.path);
    this.db = opened.db;
    this.unlock = opened.unlock;
    this.lastPosition = opened.lastPosition;
  }

  put(row: NewRow, done: Answer): void {
    if (this.isUnusable) return done(Status.StoreFailed);
    if (this.pendingPuts >= this.maxPendingPuts) return done(Status.Overloaded);
    const inbox = this.inboxOf(row.receiver);
    if (inbox === null) return done(Status.StoreFailed);
    const { sender, epoch, seq } = row;
    const known = inbox.find(sender, epoch, seq);
    if (known !== undefined) {
      if (known.state === EntryState.Pending) {
        this.pendingPuts++;
        this.waitFor(known, done).puts++;
        return;
      }
      return done(Status.Ok);
    }
    const contentBytes = row.content.length;
    if (inbox.isFullFor(contentBytes, this.limits)) return done(Status.InboxFull);
    const position = nextPosition(this.lastPosition, this.now());
    this.lastPosition = position;
    const batch = this.collecting();
    const indexed = { sender, epoch, seq, position, contentBytes };
    batch.stored.push(this.index.addPending(inbox, indexed, batch));
    batch.rows.push(row);
    batch.contentBytes += contentBytes;
    batch.puts++;
    this.pendingPuts++;
    batch.answers.push(done);
  }

  page(query: PageQuery, done: (status: Status, page: Page) => void): void {
    if (this.isUnusable) return done(Status.StoreFailed, EMPTY_PAGE);
    const inbox = this.inboxOf(query.receiver);
    if (inbox === null) return done(Status.StoreFailed, EMPTY_PAGE);
    const { entries, more } = inbox.select(query);
    if (entries.length === 0) return done(Status.Ok, EMPTY_PAGE);
    let rows: Row[];
    try {
      rows = this.read(query.receiver, entries);
    } catch (error) {
      this.onError(error as Error);
      return done(Status.StoreFailed, EMPTY_PAGE);
    }
    const from = (entries[0] as Entry<Batch>).position;
    const to = (entries[entries.length - 1] as Entry<Batch>).position;
    done(Status.Ok, { rows, first: Math.min(from, to), last: Math.max(from, to), more });
  }

  counts(receiver: number, done: (status: Status, counts: readonly SenderCount[]) => void): void {
    const inbox = this.isUnusable ? null : this.inboxOf(receiver);
    if (inbox === null) return done(Status.StoreFailed, []);
    done(Status.Ok, inbox.counts());
  }

  deletePage(range: PageRange, done: Answer): void {
    if (this.isUnusable) return done(Status.StoreFailed);
    if (this.pendingDeletions >= this.maxPendingDeletions) return done(Status.Overloaded);
    const inbox = this.inboxOf(range.receiver);
    if (inbox === null) return done(Status.StoreFailed);
    const entries = inbox.between(range);
    // Batches commit in order, so the newest row being deleted is in the last of them.
    const deleting = entries.findLast((entry) => entry.state === EntryState.Deleting);
    if (deleting !== undefined) {
      this.deleteAfter(deleting, () => this.deletePage(range, done));
      return;
    }
    this.delete(entries, done);
  }

  remove(row: Pick<NewRow, 'receiver' | 'sender' | 'epoch' | 'seq'>, done: Answer): void {
    if (this.isUnusable) return done(Status.StoreFailed);
    if (this.pendingDeletions >= this.maxPendingDeletions) return done(Status.Overloaded);
    const inbox = this.inboxOf(row.receiver);
    if (inbox === null) return done(Status.StoreFailed);
    const entry = inbox.find(row.sender, row.epoch, row.seq);
    if (entry === undefined) return done(Status.Ok);
    if (entry.held !== null) return this.deleteAfter(entry, () => this.remove(row, done));
    this.delete([entry], done);
  }

  stats(): StoreStats {
    return {
      indexedRows: this.index.rows,
      indexedInboxes: this.index.size,
      pendingWrites: this.pendingPuts + this.pendingDeletions,
      commits: this.commits,
      commitFailures: this.commitFailures,
      isStopped: this.isStopped,
    };
  }

  close(): Promise<void> {
    this.closed ??= this.finishAndClose();
    return this.closed;
  }

  /**
   * Makes one transaction of the writes that `write` issues and resolves when it is on the disk.
   * Rejects when it is not. With `DiskFailure`, it may yet be there after a restart, and the store
   * must stop; with any other error nothing of it took effect, and the next commit may be tried.
   */
  protected async commit(write: () => void): Promise<void> {
    try {
      await this.db.batch(write);
    } catch (error) {
      const cause = await causeOf(error);
      if (isDiskFull(cause)) throw cause;
      throw new DiskFailure(cause.message, { cause });
    }
  }

  private get isUnusable(): boolean {
    return this.isStopped || this.closed !== null;
  }

  /** Marks committed entries for deletion in the next commit. */
  private delete(entries: readonly Entry<Batch>[], done: Answer): void {
    if (entries.length === 0) return done(Status.Ok);
    const batch = this.collecting();
    for (const entry of entries) {
      this.index.markDeleting(entry, batch);
      batch.deleted.push(entry);
    }
    batch.deletions += entries.length;
    this.pendingDeletions += entries.length;
    batch.answers.push(done);
  }

  /** Deletes once the commit that a busy entry waits for has ended. */
  private deleteAfter(entry: Entry<Batch>, again: Answer): void {
    this.pendingDeletions++;
    this.waitFor(entry, again).deletions++;
  }

  /** Answers when the commit that a pending or deleting entry waits for has ended. */
  private waitFor(entry: Entry<Batch>, done: Answer): Batch {
    assert(entry.held !== null, 'a busy row belongs to a batch');
    entry.held.answers.push(done);
    return entry.held;
  }

  /** The batch that takes further writes; the caller adds at least one. */
  private collecting(): Batch {
    const last = this.waiting[this.waiting.length - 1];
    if (last !== undefined && last.writes < BATCH_MAX_WRITES) return last;
    const batch = new Batch();
    this.waiting.push(batch);
    this.schedule();
    return batch;
  }

  private schedule(): void {
    if (this.isScheduled || this.inFlight !== null) return;
    this.isScheduled = true;
    setImmediate(() => {
      this.isScheduled = false;
      this.startCommit();
    });
  }

  private startCommit(): void {
    const batch = this.waiting.shift();
    if (batch === undefined) return this.onIdle?.();
    this.inFlight = batch;
    if (this.isStopped) return this.endCommit(batch, Status.StoreFailed);
    this.commit(() => this.write(batch)).then(
      () => {
        this.commits++;
        this.endCommit(batch, Status.Ok);
      },
      (error: unknown) => {
        this.commitFailures++;
        this.onError(error as Error);
        if (error instanceof DiskFailure) this.stop(error);
        this.endCommit(batch, Status.StoreFailed);
      },
    );
  }

  private endCommit(batch: Batch, status: Status): void {
    const isCommitted = status === Status.Ok;
    for (const entry of batch.stored) {
      if (isCommitted) this.index.settle(entry);
      else this.index.discard(entry);
    }
    for (const entry of batch.deleted) {
      if (isCommitted) this.index.discard(entry);
      else this.index.settle(entry);
    }
    this.pendingPuts -= batch.puts;
    this.pendingDeletions -= batch.deletions;
    this.inFlight = null;
    for (const answer of batch.answers) answer(status);
    this.startCommit();
  }

  /** Runs inside `db.batch`: lmdb-js keeps pointers to the values and copies the keys. */
  private write(batch: Batch): void {
    const { stored, rows, deleted } = batch;
    const key = new RowKey();
    if (stored.length > 0) {
      const values = Buffer.allocUnsafeSlow(stored.length * HEADER_BYTES + batch.contentBytes);
      const view = new DataView(values.buffer);
      let at = 0;
      for (let i = 0; i < stored.length; i++) {
        const row = rows[i] as NewRow;
        const { position } = stored[i] as Entry<Batch>;
        const end = encodeRow(row, values, view, at);
        void this.db.put(key.set(row.receiver, position), values.subarray(at, end));
        at = end;
      }
      const { position } = stored[stored.length - 1] as Entry<Batch>;
      void this.db.put(POSITION_KEY, encodeNumber(position));
    }
    for (const { conversation, position } of deleted) {
      void this.db.remove(key.set(conversation.inbox.receiver, position));
    }
  }

  /** The rows of these entries. Throws when one cannot be read or is not what was stored. */
  private read(receiver: number, entries: readonly Entry<Batch>[]): Row[] {
    let contentBytes = 0;
    for (const entry of entries) contentBytes += entry.contentBytes;
    const contents = new Uint8Array(contentBytes);
    const key = new RowKey();
    const rows: Row[] = [];
    let at = 0;
    for (const entry of entries) {
      // A view of memory that the next get overwrites.
      const value = this.db.getBinaryFast(key.set(receiver, entry.position));
      if (value === undefined || value.length !== HEADER_BYTES + entry.contentBytes) {
        throw new Error(`row ${entry.position} of inbox ${receiver} is missing or damaged`);
      }
      const content = contents.subarray(at, at + entry.contentBytes);
      content.set(new Uint8Array(value.buffer, value.byteOffset + HEADER_BYTES, content.length));
      at += content.length;
      const view = new DataView(value.buffer, value.byteOffset, HEADER_BYTES);
      rows.push({
        sender: entry.conversation.sender,
        epoch: entry.epoch,
        seq: entry.seq,
        timeMs: getU64(view, 0, true),
        msgType: view.getUint8(24),
        content,
      });
    }
    return rows;
  }

  /** The inbox, loaded when the index does not have it; null when that failed. */
  private inboxOf(receiver: number): Inbox<Batch> | null {
    const known = this.index.get(receiver);
    if (known !== undefined) return known;
    const inbox = this.index.create(receiver);
    try {
      this.load(inbox);
      return inbox;
    } catch (error) {
      this.index.remove(inbox);
      this.onError(error as Error);
      return null;
    }
  }

  /** An inbox that is not in the index has no busy rows: what is committed is all there is. */
  private load(inbox: Inbox<Batch>): void {
    const start = new RowKey().set(inbox.receiver, 0);
    const end = new RowKey().set(inbox.receiver + 1, 0);
    for (const { key, value } of this.db.getRange({ start, end })) {
      const keyView = new DataView(key.buffer, key.byteOffset, KEY_BYTES);
      const view = new DataView(value.buffer, value.byteOffset, HEADER_BYTES);
      const row = {
        position: getU64(keyView, 8, false),
        sender: getU64(view, 8, true),
        epoch: view.getUint32(16, true),
        seq: view.getUint32(20, true),
        contentBytes: value.length - HEADER_BYTES,
      };
      this.index.addCommitted(inbox, row, null);
    }
  }

  /** For good: lmdb, too, refuses everything after a failed root page, and would never answer. */
  private stop(cause: DiskFailure): void {
    this.isStopped = true;
    const why = 'the disk failed: the store fails every operation until the server is restarted';
    this.onError(new Error(why, { cause }));
  }

  private async finishAndClose(): Promise<void> {
    if (this.inFlight !== null || this.waiting.length > 0) {
      await new Promise<void>((resolve) => (this.onIdle = resolve));
    }
    await this.db.close();
    this.unlock();
  }
}

/** A key buffer to be reused: valid until the next `set`. */
class RowKey {
  private readonly bytes = new Uint8Array(KEY_BYTES);
  private readonly view = new DataView(this.bytes.buffer);

  set(receiver: number, position: number): Uint8Array {
    setU64(this.view, 0, receiver, false);
    setU64(this.view, 8, position, false);
    return this.bytes;
  }
}

function setU64(view: DataView, at: number, value: number, isLittleEndian: boolean): void {
  view.setUint32(isLittleEndian ? at : at + 4, value % TWO_32, isLittleEndian);
  view.setUint32(isLittleEndian ? at + 4 : at, Math.floor(value / TWO_32), isLittleEndian);
}

function getU64(view: DataView, at: number, isLittleEndian: boolean): number {
  const low = view.getUint32(isLittleEndian ? at : at + 4, isLittleEndian);
  return low + view.getUint32(isLittleEndian ? at + 4 : at, isLittleEndian) * TWO_32;
}

/** Writes the value of `row` at `at` and returns its end. */
function encodeRow(row: NewRow, bytes: Uint8Array, view: DataView, at: number): number {
  setU64(view, at, row.timeMs, true);
  setU64(view, at + 8, row.sender, true);
  view.setUint32(at + 16, row.epoch, true);
  view.setUint32(at + 20, row.seq, true);
  view.setUint8(at + 24, row.msgType);
  bytes.set(row.content, at + HEADER_BYTES);
  return at + HEADER_BYTES + row.content.length;
}

function encodeNumber(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  setU64(new DataView(bytes.buffer), 0, value, true);
  return bytes;
}

function decodeNumber(bytes: Uint8Array): number {
  return bytes.length === 8 ? getU64(new DataView(bytes.buffer, bytes.byteOffset), 0, true) : NaN;
}

/** lmdb-js rejects with "Commit failed" and tells why in a second promise of its own. */
async function causeOf(error: unknown): Promise<Error> {
  try {
    await (error as { commitError?: Promise<never> }).commitError;
    return error as Error;
  } catch (cause) {
    return cause as Error;
  }
}

/**
 * True when a write was refused for want of space, before anything was synced. A sync can fail with
 * the same number (space is given late by some file systems); only a write leaves these words.
 */
function isDiskFull(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return (code === ENOSPC || code === EDQUOT) && error.message.includes('Attempting to write page');
}

interface OpenedDirectory {
  readonly db: Db;
  readonly unlock: () => void;
  readonly lastPosition: number;
}

const DATA_FILE = 'data.mdb';

function openDirectory(path: string): OpenedDirectory {
  let unlock = (): void => {};
  let db: Db | null = null;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const outcome = lockDirectory(path);
    if ('heldBy' in outcome) {
      throw new StoreOpenError(
        `the store in ${path} is already open in ${outcome.heldBy}; ` +
          'stop that server or give this one another directory',
      );
    }
    unlock = outcome.release;
    const file = join(path, DATA_FILE);
    if (existsSync(file)) checkFile(file);
    else createFile(path);
    db = openDatabase(path);
    const lastPosition = checkSchema(db, path);
    syncDirectory(path);
    syncDirectory(dirname(path));
    return { db, unlock, lastPosition };
  } catch (error) {
    void db?.close();
    unlock();
    if (error instanceof StoreOpenError) throw error;
    throw new StoreOpenError(`cannot open the store in ${path}: ${(error as Error).message}`);
  }
}

function checkFile(file: string): void {
  // What a process that was killed has left in the page cache must reach the disk before anything
  // is built on it: else new pages could get there before the root page that no longer needs them.
  sync(file, 'r+');
  const damage = damageOf(file);
  if (damage === '') return;
  throw new StoreOpenError(
    `the database ${file} is damaged: ${damage}; restore the directory from a copy, ` +
      'or move it away to begin with empty inboxes',
  );
}

/**
 * Makes an empty database whole under another name first. So a file that is not whole was damaged,
 * and does not just come from a power failure during the very first start.
 */
function createFile(path: string): void {
  const draft = join(path, `${DATA_FILE}.new`);
  const files = [draft, `${draft}-lock`];
  for (const file of files) rmSync(file, { force: true });
  const db = openDatabase(draft, { noSubdir: true });
  db.putSync(VERSION_KEY, encodeNumber(SCHEMA_VERSION));
  void db.close(); // at once: nothing is being written
  sync(draft, 'r+');
  renameSync(draft, join(path, DATA_FILE));
  for (const file of files) rmSync(file, { force: true });
}

function openDatabase(path: string, { noSubdir } = { noSubdir: false }): Db {
  const options = {
    path,
    noSubdir,
    maxDbs: 1,
    keyEncoding: 'binary',
    encoding: 'binary',
    overlappingSync: false,
    // We batch ourselves; lmdb-js would wait for the end of the turn once more.
    eventTurnBatching: false,
  } as const;
  return open<Uint8Array, Uint8Array>(options);
}

/** Checks the version and commits it again; returns the last position given. */
function checkSchema(db: Db, path: string): number {
  const version = db.getBinary(VERSION_KEY);
  if (version === undefined) {
    if (db.getKeysCount({ limit: 1 }) > 0) {
      throw new StoreOpenError(
        `the database in ${path} was not made by ackbench; give the store another directory`,
      );
    }
  } else if (decodeNumber(version) !== SCHEMA_VERSION) {
    const found = decodeNumber(version);
    throw new StoreOpenError(
      `the store in ${path} has schema version ${found}, this server knows ${SCHEMA_VERSION}; ` +
        'run the server that made it, or give this one an empty directory',
    );
  }
  // A commit that changes nothing: from here on the root page is on the disk that is read.
  db.putSync(VERSION_KEY, encodeNumber(SCHEMA_VERSION));
  const position = db.getBinary(POSITION_KEY);
  return position === undefined ? 0 : decodeNumber(position);
}

/** Makes the names of new files durable, which syncing the files does not. */
function syncDirectory(path: string): void {
  if (process.platform !== 'win32') sync(path, 'r');
}

function sync(path: string, flags: 'r' | 'r+'): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
