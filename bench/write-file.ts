/** Result files are there whole or not at all: a full disk leaves no half of one behind. */
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';

/** Of a directory that takes no new files, or a file that is mounted: it can only be written in place. */
const IN_PLACE = new Set(['EACCES', 'EPERM', 'EBUSY', 'EROFS']);

/** Writes `text` beside `file` and puts it in its place. Throws what the file system says. */
export function writeWhole(file: string, text: string): void {
  const there = statSync(file, { throwIfNoEntry: false });
  if (there !== undefined && !there.isFile()) {
    writeFileSync(file, text); // a device or a pipe cannot be replaced
    return;
  }
  const part = `${file}.part`;
  try {
    writeFileSync(part, text);
    renameSync(part, file);
  } catch (error) {
    rmSync(part, { force: true });
    if (there === undefined || !IN_PLACE.has((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    writeFileSync(file, text);
  }
}
