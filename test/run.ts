/**
 * The test entry: `node test/run.ts [filter…]`. A filter is a part of a path, such as `test/protocol`.
 *
 * Every *.test.ts runs in its own process and process group, two at a time. What must stay true: a
 * file passes only when it exits 0 in time, ran at least one test and passed all of them. uvu by
 * itself lets three things through, all guarded here: a file that forgot `.run()`, a test that never
 * ends, and a failing suite followed by a passing one that starts later (the second one overwrites
 * the exit code). A file may ask for more time by a line `// deadline: 120s` at its top.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, sep } from 'node:path';
import { performance } from 'node:perf_hooks';
import { stripVTControlCharacters } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const PARALLEL_FILES = Math.min(2, availableParallelism());
const DEFAULT_DEADLINE_MS = 60_000;
/** How many lines at the top of a file may hold its deadline. */
const DEADLINE_LINES = 15;
/** How long the output of a file may stay open once its process is gone. */
const OUTPUT_GRACE_MS = 2_000;
/** Output kept per file; a file that prints more loses the middle of it. */
const OUTPUT_CHARS_MAX = 1_000_000;
/** Environment variable by which children that left the process group are found again. */
const MARK = 'ACKBENCH_TEST_FILE';

interface Outcome {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  elapsedMs: number;
  /** Why the file failed; empty when it passed. */
  reason: string;
  output: string;
}

interface Running {
  child: ChildProcess;
  mark: string;
}

const running = new Set<Running>();

function testFiles(): string[] {
  return readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', name).split(sep).join('/'))
    .sort();
}

function matches(file: string, filters: readonly string[]): boolean {
  if (filters.length === 0) return true;
  return filters.some((filter) => {
    const path = filter.startsWith(ROOT) ? relative(ROOT, filter) : filter;
    return file.includes(path.replace(/^\.\//, ''));
  });
}

function deadlineMs(file: string): number {
  const top = readFileSync(join(ROOT, file), 'utf8').split('\n', DEADLINE_LINES);
  for (const line of top) {
    const found = /^\/\/ deadline: (\d+)s\s*$/.exec(line);
    if (found !== null) return Number(found[1]) * 1_000;
  }
  return DEFAULT_DEADLINE_MS;
}

/** Kills what is left of a test file: its process group, and descendants that left the group. */
function killAll({ child, mark }: Running): void {
  // ESRCH means that it is gone already; nothing here may stop the killing of the rest.
  const kill = (pid: number): void => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      /* gone */
    }
  };
  if (child.pid !== undefined) kill(-child.pid);
  if (process.platform !== 'linux') return;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let environ = '';
    try {
      environ = readFileSync(`/proc/${name}/environ`, 'latin1');
    } catch {
      continue;
    }
    if (`\0${environ}`.includes(`\0${MARK}=${mark}\0`)) kill(Number(name));
  }
}

/** Sums the summaries uvu printed: one per `exec`, so more than one when suites start late. */
function countTests(output: string): { total: number; passed: number; skipped: number } {
  let total = 0;
  let passed = 0;
  let skipped = 0;
  const summary = /^ {2}Total: {5}(\d+)\n {2}Passed: {4}(\d+)\n {2}Skipped: {3}(\d+)$/gm;
  for (const found of output.matchAll(summary)) {
    total += Number(found[1]);
    passed += Number(found[2]);
    skipped += Number(found[3]);
  }
  return { total, passed, skipped };
}

function judge(output: string, end: string): Pick<Outcome, 'passed' | 'failed' | 'reason'> {
  const { total, passed } = countTests(output);
  const failed = total - passed;
  if (end === 'exit code 1' && failed > 0) end = `${failed} failed`;
  if (end !== '') return { passed, failed: Math.max(failed, 1), reason: end };
  if (total === 0) return { passed, failed: 1, reason: 'ran no test (is `.run()` missing?)' };
  return { passed, failed, reason: failed > 0 ? `${failed} failed` : '' };
}

async function runFile(file: string): Promise<Outcome> {
  const limitMs = deadlineMs(file);
  const startedAt = performance.now();
  const mark = randomUUID();
  const child = spawn(process.execPath, [file], {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [MARK]: mark },
  });
  const entry = { child, mark };
  running.add(entry);

  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      // The end holds the summary, the beginning the first cause: keep both.
      if (output.length > OUTPUT_CHARS_MAX) {
        const half = OUTPUT_CHARS_MAX / 4;
        output = `${output.slice(0, half)}\n[… output cut …]\n${output.slice(-half)}`;
      }
    });
  }
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));

  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killAll(entry);
  }, limitMs);
  const end = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`did not start: ${error.message}`));
    child.once('exit', (code, signal) => {
      if (isLate) resolve(`did not end within ${limitMs / 1_000} s`);
      else if (signal !== null) resolve(`killed by ${signal}`);
      else resolve(code === 0 ? '' : `exit code ${code}`);
    });
  });
  clearTimeout(timer);
  killAll(entry);
  running.delete(entry);
  if (child.pid !== undefined) {
    const grace = setTimeout(() => {
      child.stdout.destroy();
      child.stderr.destroy();
    }, OUTPUT_GRACE_MS);
    await closed;
    clearTimeout(grace);
  }

  output = stripVTControlCharacters(output);
  return {
    file,
    ...judge(output, end),
    skipped: countTests(output).skipped,
    elapsedMs: Math.round(performance.now() - startedAt),
    output,
  };
}

function report(outcome: Outcome, fileWidth: number): void {
  const isOk = outcome.reason === '';
  const tests = outcome.passed + outcome.failed;
  const counts = [
    `${String(tests).padStart(4)} ${tests === 1 ? 'test ' : 'tests'}`,
    `${String(outcome.elapsedMs).padStart(6)} ms`,
  ];
  if (outcome.skipped > 0) counts.push(`${outcome.skipped} skipped`);
  if (!isOk) counts.push(outcome.reason);
  console.log(`${isOk ? 'ok  ' : 'FAIL'}  ${outcome.file.padEnd(fileWidth)}  ${counts.join('  ')}`);
  if (!isOk) console.log(outcome.output.trimEnd().replace(/^/gm, '      '));
}

async function main(filters: readonly string[]): Promise<number> {
  const files = testFiles().filter((file) => matches(file, filters));
  if (files.length === 0) {
    console.error(`no test file matches ${filters.join(' ')}; a filter is a part of its path`);
    return 2;
  }
  const fileWidth = Math.max(...files.map((file) => file.length));
  let passed = 0;
  let failed = 0;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < files.length) {
      const outcome = await runFile(files[next++] as string);
      report(outcome, fileWidth);
      passed += outcome.passed;
      failed += outcome.failed;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_FILES }, lane));
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 ? 1 : 0;
}

// The children are in groups of their own, so Ctrl-C reaches only us.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => {
    for (const entry of running) killAll(entry);
    process.exit(code);
  });
}

process.exitCode = await main(process.argv.slice(2));
