/**
 * One process per directory: a lock file that names its owner.
 *
 * The file is made complete under another name and then linked, so that nobody ever reads half of
 * one. It is stale when its owner is dead; a pid used again by another process is told apart by the
 * start of the process (Linux; elsewhere a living pid counts as the owner, which errs on the side of
 * refusing). It protects against a mistake, not against malice, and does not see processes of other
 * machines or other pid namespaces: one directory belongs to one server.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LOCK_FILE = 'ackbench.lock';

interface Owner {
  readonly pid: number;
  /** Boot and start of the process, '' where the system does not tell. */
  readonly started: string;
}

/** Either the way to give the lock back, or who has it. */
export type LockOutcome = { readonly release: () => void } | { readonly heldBy: string };

/** Takes the lock of the directory at `path`, which must exist. Throws when it is not writable. */
export function lockDirectory(path: string): LockOutcome {
  const lockPath = join(path, LOCK_FILE);
  const mine = JSON.stringify({ pid: process.pid, started: processStart(process.pid) });
  const draftPath = `${lockPath}.${process.pid}`;
  writeFileSync(draftPath, mine);
  try {
    while (!tryLink(draftPath, lockPath)) {
      const theirs = readOrNull(lockPath);
      if (theirs === null) continue;
      const owner = parseOwner(theirs);
      if (owner !== null && isAlive(owner)) return { heldBy: describe(owner) };
      setAside(lockPath, `${draftPath}.stale`, theirs);
    }
  } finally {
    rmSync(draftPath, { force: true });
  }
  return {
    release: () => {
      if (readOrNull(lockPath) === mine) rmSync(lockPath, { force: true });
    },
  };
}

function tryLink(draftPath: string, lockPath: string): boolean {
  try {
    linkSync(draftPath, lockPath);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a stale lock away, and back if somebody else had replaced it just before. */
function setAside(lockPath: string, asidePath: string, stale: string): void {
  try {
    renameSync(lockPath, asidePath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readOrNull(asidePath) !== stale) tryLink(asidePath, lockPath);
  rmSync(asidePath, { force: true });
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** null for a file that names nobody: linked whole, it was cut short by a crash of the machine. */
function parseOwner(text: string): Owner | null {
  try {
    const { pid, started } = JSON.parse(text) as Partial<Owner>;
    const isOwner = Number.isInteger(pid) && (pid as number) > 0 && typeof started === 'string';
    return isOwner ? { pid: pid as number, started: started as string } : null;
  } catch {
    return null;
  }
}

function isAlive(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to another user.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const started = processStart(owner.pid);
  return started === '' || owner.started === '' || started === owner.started;
}

function describe(owner: Owner): string {
  return owner.pid === process.pid ? 'this process' : `process ${owner.pid}`;
}

/** Names one life of a pid: boot id and start in clock ticks after boot; proc(5), stat field 22. */
function processStart(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${boot}/${afterName[19] ?? ''}`;
  } catch {
    return '';
  }
}
