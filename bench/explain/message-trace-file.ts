/**
 * The file of a message trace: what a run wrote down of one scenario or variant, and its reading.
 *
 *     gzip( header, one line of JSON | block | block | … | end )
 *     block = u32 worker, u32 events, then the columns of these events one after the other
 *     end   = u32 0xffffffff, u32 events in all
 *
 * Columns and not lines: a million events are 36 MB that are read into the arrays as they are, where a
 * million lines of JSON would be three times that and seconds of parsing before the first answer. In
 * the byte order of the machine, which is little-endian on everything that Node 22 runs on.
 */
import { createWriteStream, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { createTraceColumns, type TraceColumns } from '../../loadgen/index.ts';
import { printable } from '../units.ts';
import { FORMAT, headerOf, VERSION } from './header-shape.ts';

export const TRACE_ENDING = '.trace.gz';

/** What a trace is of. */
export interface TraceFacts {
  /** Of the run. */
  readonly startedAt: string;
  readonly sha: string;
  readonly seed: number;
  readonly scenario: string;
  readonly variant: string | null;
  readonly policy: string;
  readonly store: string;
  /** Of all sequences of the run. */
  readonly epoch: number;
  /** Start of the load on the clock of the events, us. */
  readonly loadStartUs: number;
  /** Whether the run came to rest: only then is what did not arrive lost. */
  readonly isQuiet: boolean;
  /** Users are uidBase … uidBase + users - 1 of each part. */
  readonly parts: readonly { readonly uidBase: number; readonly users: number }[];
}

/** One ring: its users are uidFrom … uidTo - 1. */
export interface TraceWorker {
  readonly uidFrom: number;
  readonly uidTo: number;
  /** Events of the run, and how many the ring still held. */
  readonly total: number;
  readonly kept: number;
}

export interface TraceHeader extends TraceFacts {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  readonly workers: readonly TraceWorker[];
}

export interface TraceBlock {
  readonly worker: number;
  readonly columns: TraceColumns;
}

export interface MessageTraceFile {
  readonly header: TraceHeader;
  /** Those of one worker are in order of time. */
  readonly blocks: readonly TraceBlock[];
}

/** A file that cannot be read as a trace; the message says why and what to do. */
export class TraceFileError extends Error {}

const END = 0xffffffff;
const FRAME_BYTES = 8;
const HEADER_BYTES_MAX = 1_000_000;
/** More events in one block than any writer makes: the bytes are of something else. */
const BLOCK_EVENTS_MAX = 10_000_000;
/** Smallest effort: the trace is written between two runs, and shrinks to a sixth all the same. */
const GZIP_LEVEL = 1;

/** The columns, widest first, as they follow each other in a block. */
const COLUMNS = [
  'atUs',
  'other',
  'self',
  'epoch',
  'seq',
  'detail',
  'what',
  'kind',
  'fault',
  'status',
] as const satisfies readonly (keyof TraceColumns)[];

/** Writes a trace; the file appears when it is whole. */
export async function writeMessageTrace(
  file: string,
  facts: TraceFacts & { readonly workers: readonly TraceWorker[] },
  blocks: AsyncIterable<TraceBlock> | Iterable<TraceBlock>,
): Promise<void> {
  const header: TraceHeader = { format: FORMAT, version: VERSION, ...facts };
  const unfinished = `${file}.part`;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(`${JSON.stringify(header)}\n`);
    let events = 0;
    for await (const { worker, columns } of blocks) {
      const count = columns.atUs.length;
      events += count;
      yield frame(worker, count);
      for (const name of COLUMNS) {
        const { buffer, byteOffset, byteLength } = columns[name];
        yield new Uint8Array(buffer, byteOffset, byteLength);
      }
    }
    yield frame(END, events);
  }
  mkdirSync(path.dirname(file), { recursive: true });
  try {
    const gzip = createGzip({ level: GZIP_LEVEL });
    await pipeline(Readable.from(bytes()), gzip, createWriteStream(unfinished));
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

function frame(first: number, second: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(first, second).buffer);
}

/** Reads a whole trace; `TraceFileError` when it is none, or not whole. */
export async function readMessageTrace(file: string): Promise<MessageTraceFile> {
  const inflated = new Inflated(file);
  const header = parseHeader(file, await inflated.line());
  const blocks: TraceBlock[] = [];
  let events = 0;
  for (;;) {
    const [worker, count] = u32s(await inflated.take(FRAME_BYTES));
    if (worker === END) {
      if (count !== events) throw new TraceFileError(`${file}: corrupt: events are missing in it`);
      await inflated.end();
      return { header, blocks };
    }
    if (header.workers[worker] === undefined || count > BLOCK_EVENTS_MAX) {
      throw new TraceFileError(`${file}: corrupt: a block of no worker of the run`);
    }
    const columns = createTraceColumns(count);
    for (const name of COLUMNS) {
      const { buffer, byteLength } = columns[name];
      new Uint8Array(buffer).set(await inflated.take(byteLength));
    }
    blocks.push({ worker, columns });
    events += count;
  }
}

/** Only what a trace is of. */
export async function readTraceHeader(file: string): Promise<TraceHeader> {
  const inflated = new Inflated(file);
  const header = parseHeader(file, await inflated.line());
  inflated.drop();
  return header;
}

function u32s(bytes: Uint8Array): [number, number] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_BYTES);
  return [view.getUint32(0, true), view.getUint32(4, true)];
}

function parseHeader(file: string, line: string): TraceHeader {
  let value: Partial<Record<keyof TraceHeader, unknown>> | null = null;
  try {
    value = JSON.parse(line);
  } catch {
    // Said below.
  }
  if (typeof value !== 'object' || value === null || value.format !== FORMAT) {
    throw new TraceFileError(`${file}: is no message trace; \`bench --trace-messages\` writes one`);
  }
  if (value.version !== VERSION) {
    const version = printable(String(value.version));
    const versions = `version ${version}, and this is for version ${VERSION}`;
    throw new TraceFileError(`${file}: was written by another ackbench: ${versions}`);
  }
  const header = headerOf(value);
  if ('mistakes' in header) {
    throw new TraceFileError(`${file}: corrupt: its header: ${header.mistakes.join('; ')}`);
  }
  return header;
}

/** The inflated bytes of a file, taken in order. */
class Inflated {
  private readonly file: string;
  private readonly gunzip = createGunzip();
  private readonly source: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(file: string) {
    this.file = file;
    this.source = this.gunzip[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.gunzip.end(readFileSync(file));
  }

  /** Up to the next end of a line. */
  async line(): Promise<string> {
    let end = -1;
    while ((end = this.rest.indexOf(10)) < 0 && this.rest.length < HEADER_BYTES_MAX) {
      const more = await this.read();
      if (more === null) break;
      this.rest = Buffer.concat([this.rest, more]);
    }
    const text = this.rest.toString('utf8', 0, Math.max(0, end));
    this.rest = this.rest.subarray(end + 1);
    return text;
  }

  async take(size: number): Promise<Buffer> {
    const pieces = [this.rest];
    let length = this.rest.length;
    while (length < size) {
      const more = await this.read();
      if (more === null) throw this.cut();
      pieces.push(more);
      length += more.length;
    }
    const whole = pieces.length === 1 ? this.rest : Buffer.concat(pieces);
    this.rest = whole.subarray(size);
    return whole.subarray(0, size);
  }

  /** Nothing may follow, and the checksum must be right. */
  async end(): Promise<void> {
    const more = await this.read();
    if (more !== null || this.rest.length > 0) {
      throw new TraceFileError(`${this.file}: corrupt: something follows its end`);
    }
  }

  drop(): void {
    this.gunzip.destroy();
  }

  private async read(): Promise<Buffer | null> {
    try {
      const { done, value } = await this.source.next();
      return done === true ? null : value;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'Z_BUF_ERROR') throw this.cut();
      const isOther = message === 'incorrect header check';
      const what = isOther
        ? 'is no message trace; `bench --trace-messages` writes one'
        : `corrupt: ${message}`;
      throw new TraceFileError(`${this.file}: ${what}`);
    }
  }

  private cut(): TraceFileError {
    const advice = 'the end is missing; copy it again, or run again with --trace-messages';
    return new TraceFileError(`${this.file}: cut off: ${advice}`);
  }
}
