/**
 * Inputs on the disk: the corpus of each target, and what crashed it. Hex text, 32 bytes a line,
 * after lines of `#` for people; the name is the hash of the bytes, so nothing is there twice.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = import.meta.dirname;
const CRASHES = join(ROOT, 'crashes');
const LINE_BYTES = 32;
/** Bounds of what a run may leave behind, for each target and for all. */
const CORPUS_MAX_BYTES = 12_288;
const CRASHES_MAX = 100;

function nameOf(input: Buffer): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16);
}

function write(file: string, input: Buffer, comment: string): void {
  const notes = comment === '' ? [] : comment.split('\n').map((line) => `# ${line}`);
  const lines = input.toString('hex').match(new RegExp(`.{1,${2 * LINE_BYTES}}`, 'g')) ?? [];
  writeFileSync(file, `${[...notes, ...lines].join('\n')}\n`);
}

/** Reads one input. Throws a sentence when the file is none. */
export function readInput(file: string): Buffer {
  const hex = readFileSync(file, 'latin1').replace(/^#.*$/gm, '').replace(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) throw new Error(`${file} is not hex`);
  return Buffer.from(hex, 'hex');
}

/** The corpus of `target`, in the order of its names. */
export function readCorpus(target: string): Buffer[] {
  const folder = join(ROOT, 'corpus', target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => readInput(join(folder, name)));
}

/** Replaces the corpus of `target`; the first inputs stay when there are more than fit. */
export function writeCorpus(target: string, inputs: readonly Buffer[]): void {
  const folder = join(ROOT, 'corpus', target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  let bytes = 0;
  for (const input of inputs) {
    if (bytes + input.length > CORPUS_MAX_BYTES) continue;
    bytes += input.length;
    write(join(folder, `${nameOf(input)}.hex`), input, '');
  }
}

/** Keeps an input that crashed; null when there are too many already. */
export function writeCrash(target: string, input: Buffer, comment: string): string | null {
  mkdirSync(CRASHES, { recursive: true });
  const file = join(CRASHES, `${target}-${nameOf(input)}.hex`);
  if (!existsSync(file) && readdirSync(CRASHES).length >= CRASHES_MAX) return null;
  write(file, input, comment);
  return file;
}

/** The target that a file of `writeCrash` or of the corpus belongs to. */
export function targetOfFile(file: string): string | null {
  const parts = file.split(/[\\/]/);
  const crash = /^(\w+)-[0-9a-f]{16}\.hex$/.exec(parts.at(-1) ?? '');
  if (crash !== null) return crash[1] as string;
  return parts.at(-3) === 'corpus' ? (parts.at(-2) as string) : null;
}
