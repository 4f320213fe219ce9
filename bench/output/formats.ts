/**
 * `--output format=place`: the formats that a result can be written in besides its own, what is wrong
 * with a wish for one, and the writing. Everything that can be known before the run is said before the
 * run: nobody measures for ten minutes into a directory that does not exist.
 */
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { renderPage } from '../report/page-html.ts';
import { emptyPage, viewOf } from '../report/read-files.ts';
import type { Result } from '../result.ts';
import { renderBencher } from './bencher.ts';
import { renderCsv } from './csv.ts';
import { biggerFileOf, renderGithubBenchmark } from './github-benchmark.ts';
import { renderHgrm } from './hgrm.ts';
import { renderJunit } from './junit.ts';
import { renderMarkdown } from './markdown.ts';
import { renderNdjson } from './ndjson.ts';
import { renderPrometheus } from './prometheus.ts';
import { writeWhole } from '../write-file.ts';

interface TextFile {
  readonly file: string;
  readonly text: string;
}

interface Format {
  readonly place: 'file' | 'directory';
  /** Files that are known beforehand; a directory stands for all that comes into it. */
  places(place: string): string[];
  render(result: Result, place: string): TextFile[];
}

function oneFile(render: (result: Result) => string): Format {
  return {
    place: 'file',
    places: (file) => [file],
    render: (result, file) => [{ file, text: render(result) }],
  };
}

const FORMATS: Readonly<Record<string, Format>> = {
  markdown: oneFile(renderMarkdown),
  junit: oneFile(renderJunit),
  csv: oneFile(renderCsv),
  hgrm: {
    place: 'directory',
    places: (directory) => [directory],
    render: (result, directory) =>
      renderHgrm(result).map(({ name, text }) => ({ file: path.join(directory, name), text })),
  },
  ndjson: oneFile(renderNdjson),
  'github-benchmark': {
    place: 'file',
    places: (file) => [file, biggerFileOf(file)],
    render: (result, file) => {
      const { smaller, bigger } = renderGithubBenchmark(result);
      return [
        { file, text: smaller },
        { file: biggerFileOf(file), text: bigger },
      ];
    },
  },
  bencher: oneFile(renderBencher),
  prometheus: oneFile(renderPrometheus),
  html: oneFile((result) =>
    renderPage({ ...emptyPage({ isLive: false }), results: [viewOf(result, 'this run')] }),
  ),
};

/** For messages and the help. */
export const FORMAT_NAMES = Object.keys(FORMATS).join(', ');

export interface Output {
  readonly format: string;
  /** File, or directory for hgrm. */
  readonly place: string;
}

/** The outputs that `texts` ask for, and every mistake. `taken` = files that the run writes anyway. */
export function parseOutputs(
  texts: readonly string[],
  taken: readonly string[] = [],
): { outputs: Output[]; mistakes: string[] } {
  const outputs: Output[] = [];
  const mistakes: string[] = [];
  const places = new Set(taken.map((file) => path.resolve(file)));
  for (const text of texts) {
    const parsed = parseOutput(text);
    if (typeof parsed === 'string') {
      mistakes.push(`--output ${text}: ${parsed}`);
      continue;
    }
    outputs.push(parsed);
    const { format, place } = parsed;
    for (const file of (FORMATS[format] as Format).places(place)) {
      if (places.has(path.resolve(file))) {
        mistakes.push(`--output ${text}: ${file} would be written twice`);
      }
      places.add(path.resolve(file));
    }
  }
  return { outputs, mistakes };
}

/** The output, or what is wrong with it. */
function parseOutput(text: string): Output | string {
  const [, format = '', place = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (place === '') return `write format=file; formats are ${FORMAT_NAMES}`;
  if (!Object.hasOwn(FORMATS, format)) return `unknown format; there are ${FORMAT_NAMES}`;
  const known = FORMATS[format] as Format;
  for (const file of known.places(place)) {
    const mistake = known.place === 'file' ? fileMistake(file) : directoryMistake(file);
    if (mistake !== null) return mistake;
  }
  return { format, place };
}

function fileMistake(file: string): string | null {
  if (existsSync(file)) {
    if (statSync(file).isDirectory()) return `${file} is a directory`;
    return isWritable(file) ? null : `${file} cannot be written`;
  }
  return parentMistake(file);
}

function directoryMistake(directory: string): string | null {
  if (!existsSync(directory)) return parentMistake(directory);
  if (!statSync(directory).isDirectory()) return 'is not a directory, and this format needs one';
  return isWritable(directory) ? null : `${directory} cannot be written`;
}

function parentMistake(file: string): string | null {
  const parent = path.dirname(path.resolve(file));
  if (!existsSync(parent) || !statSync(parent).isDirectory()) return 'its directory does not exist';
  return isWritable(parent) ? null : `${parent} cannot be written`;
}

function isWritable(place: string): boolean {
  try {
    accessSync(place, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Writes one output; throws what the file system says. */
export function writeOutput(result: Result, { format, place }: Output): void {
  const known = FORMATS[format] as Format;
  if (known.place === 'directory') mkdirSync(place, { recursive: true });
  for (const { file, text } of known.render(result, place)) writeWhole(file, text);
}
