/**
 * Builds disk-shim.c and tells it what to do: the journal, the faults, the environment of a process
 * whose file lives on the simulated disk. Linux with a C compiler only; elsewhere `buildShim` says
 * why not, and whoever wanted to test says that nothing was tested.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const SOURCE = join(import.meta.dirname, 'disk-shim.c');

/** The fields of `struct control` in disk-shim.c, in its order, 32 bits each. */
const FIELDS = [
  'syncDelayUs',
  'syncErrno',
  'syncCount',
  'writeErrno',
  'writeCount',
  'metaErrno',
  'metaCount',
  'shortCount',
  'failedSyncs',
  'failedWrites',
  'failedMetas',
  'shortWrites',
] as const;
type Field = (typeof FIELDS)[number];
/** What `DiskShim.set` takes. */
export type DiskState = Partial<Record<Field, number>>;

/** Linux numbers. */
export const ERRNO = { EIO: 5, ENOSPC: 28 } as const;
/** A fault that never ends. */
export const FOR_EVER = -1;

/** The path of the library, or why there is none. */
export function buildShim(directory: string): { readonly path: string } | { readonly why: string } {
  if (process.platform !== 'linux') return { why: 'the disk shim needs Linux' };
  const path = join(directory, 'disk-shim.so');
  const argv = ['-O1', '-Wall', '-Werror', '-shared', '-fPIC', '-o', path, SOURCE, '-ldl'];
  for (const compiler of ['cc', 'gcc', 'clang']) {
    const { error, status, stderr } = spawnSync(compiler, [...argv, '-lpthread'], {
      encoding: 'utf8',
    });
    if (error !== undefined) continue;
    if (status !== 0) throw new Error(`${compiler} does not take disk-shim.c:\n${stderr}`);
    return { path };
  }
  return { why: 'no C compiler (cc, gcc, clang) is installed' };
}

/** One simulated disk: outlives the processes that use it. */
export class DiskShim {
  readonly journalPath: string;
  private readonly libraryPath: string;
  private readonly controlPath: string;
  private readonly control: number;
  private journal = -1;

  /** `directory` takes the journal and the control block, or has them already. */
  constructor(libraryPath: string, directory: string, { isNew } = { isNew: true }) {
    this.libraryPath = libraryPath;
    this.journalPath = join(directory, 'disk-journal');
    this.controlPath = join(directory, 'disk-control');
    if (isNew) writeFileSync(this.controlPath, new Uint8Array(FIELDS.length * 4));
    this.control = openSync(this.controlPath, 'r+');
  }

  /** What makes a process use this disk for its `data.mdb`. */
  get environment(): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: this.libraryPath,
      DISK_SHIM_FILE: 'data.mdb',
      DISK_SHIM_JOURNAL: this.journalPath,
      DISK_SHIM_CONTROL: this.controlPath,
    };
  }

  /** From now on; a running process sees it with its next call. */
  set(fields: DiskState): void {
    for (const [name, value] of Object.entries(fields)) {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(value);
      writeSync(this.control, bytes, 0, 4, FIELDS.indexOf(name as Field) * 4);
    }
  }

  get(name: Field): number {
    const bytes = Buffer.alloc(4);
    readSync(this.control, bytes, 0, 4, FIELDS.indexOf(name) * 4);
    return bytes.readInt32LE();
  }

  /** No more faults; the counts stay. */
  heal(): void {
    this.set({ syncCount: 0, writeCount: 0, metaCount: 0, shortCount: 0 });
  }

  /** Where the journal ends now: everything that the disk was asked for before lies before it. */
  place(): number {
    if (this.journal < 0) {
      if (!existsSync(this.journalPath)) return 0;
      this.journal = openSync(this.journalPath, 'r');
    }
    return fstatSync(this.journal).size;
  }

  close(): void {
    closeSync(this.control);
    if (this.journal >= 0) closeSync(this.journal);
    this.journal = -1;
  }
}
