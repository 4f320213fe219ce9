/**
 * What a linter cannot keep: doors between rooms, one home for every package, a pure core, headers,
 * file lengths, tests that run, and a version that the documents know.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const ROOT = join(import.meta.dirname, '..');
const ROOMS = ['protocol', 'server', 'loadgen', 'sim', 'bench'];

/** Who may know whom, by the door; a room always knows itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  server: ['protocol'],
  loadgen: ['protocol'],
  sim: ['protocol'],
  bench: ['loadgen'],
};

/** The only files that know a package. A new package gets a line here, or stays out. */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  autocannon: ['bench/http-pull-run.ts'],
  'cli-progress': ['bench/progress.ts'],
  commander: [
    'bench/capacity/options.ts',
    'bench/command-line.ts',
    'bench/compare/options.ts',
    'bench/explain/options.ts',
    'bench/history/options.ts',
    'bench/options.ts',
    'bench/oracle/main.ts',
    'bench/plan/options.ts',
    'bench/report/options.ts',
    'server/main.ts',
    'sim/main.ts',
  ],
  'fast-jwt': ['loadgen/token.ts', 'server/auth.ts'],
  'hdr-histogram-js': ['loadgen/recorder.ts'],
  lmdb: ['server/stores/lmdb-store.ts'],
  pino: ['server/main.ts'],
  piscina: ['loadgen/pool.ts'],
  'prom-client': ['server/metrics.ts'],
  'pure-rand': ['loadgen/random.ts', 'sim/random.ts'],
  'uWebSockets.js': [
    'bench/doctor.ts', // only asks whether its binary loads
    'bench/echo-server.ts',
    'bench/oracle/server.ts',
    'server/connection.ts',
    'server/http-api.ts',
    'server/server.ts',
  ],
  uplot: ['bench/report/page/time-plot.ts'],
  yaml: ['bench/plan/inputs.ts', 'bench/scenario.ts', 'server/config.ts'],
  zod: [
    'bench/capacity/shape.ts',
    'bench/explain/header-shape.ts',
    'bench/report/read-files.ts',
    'bench/report/shape.ts',
    'bench/scenario.ts',
    'bench/shape-mistakes.ts',
    'server/config.ts',
    'server/main.ts',
  ],
};

/** Packages for development that a source may use where they are installed, and do without. */
const DEV_HOMES: Readonly<Record<string, readonly string[]>> = { ws: ['loadgen/echo-worker.ts'] };

/** Folders of test/ that belong to no room. */
const MATTERS = [
  'conformance',
  'e2e',
  'fuzz',
  'micro',
  'mutants',
  'power-loss',
  'sabotaged',
  'study',
  'support',
];

const LINES_MAX = 500;
const TEST_LINES_MAX = 800;
/** Longer files, and why they are one. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'bench/plan/formulas.ts': 'the page of a report inlines it: one file is one calculator',
  'server/stores/lmdb-store.ts':
    'one transaction discipline: rows, index and recovery change together',
  'test/e2e/bad-input.test.ts': 'one table of hostile inputs against one server',
};

function filesIn(folder: string, isWanted: (name: string) => boolean): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(isWanted)
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .sort();
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

const SOURCES = ROOMS.flatMap((room) => filesIn(room, (name) => name.endsWith('.ts')));
const TESTS = filesIn('test', (name) => name.endsWith('.ts'));

/** Strings become '' and comments nothing, so that only code is looked at. */
function codeOf(text: string, keep: 'code' | 'code and strings'): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (found) => {
    if (found.startsWith('/')) return ' ';
    return keep === 'code' ? "''" : found;
  });
}

/** Everything that a file imports, types and dynamic imports included. */
function importsOf(file: string): string[] {
  const code = codeOf(read(file), 'code and strings');
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|\bimport\s*)(['"])([^'"\n]+)\1/g;
  return [...code.matchAll(pattern)].map((found) => found[2] as string);
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

test('the checks see the sources', () => {
  assert.ok(SOURCES.length > 40 && TESTS.length > 20);
  assert.ok(importsOf('loadgen/recorder.ts').includes('hdr-histogram-js'));
  assert.ok(importsOf('bench/doctor.ts').includes('uWebSockets.js'), 'dynamic imports too');
  assert.ok(importsOf('loadgen/random.ts').some((name) => name.startsWith('pure-rand/')));
  assert.is(codeOf("a('x // y'); // z\n/* w */ `v`", 'code').replace(/\s+/g, ''), "a('');''");
});

test('rooms know each other only by the door, and only downwards', () => {
  for (const file of SOURCES) {
    const room = file.split('/')[0] as string;
    for (const specifier of importsOf(file)) {
      if (!specifier.startsWith('.')) continue;
      const target = posix.join(posix.dirname(file), specifier);
      const other = target.split('/')[0] as string;
      if (other === room) continue;
      assert.ok(MAY_IMPORT[room]?.includes(other), `${file} must not know ${other}/`);
      assert.is(target, `${other}/index.ts`, `${file} must go through the door of ${other}/`);
    }
  }
});

test('every room has a door, and the door has no logic', () => {
  for (const room of ROOMS) {
    const code = codeOf(read(`${room}/index.ts`), 'code');
    const rest = code.replace(/export\s+(?:type\s+)?(?:\*|\{[^}]*\})\s+from\s+'';/g, '');
    assert.is(rest.trim(), '', `${room}/index.ts`);
  }
});

test('each package is known only in its homes', () => {
  const found = new Map<string, Set<string>>();
  for (const file of SOURCES) {
    for (const specifier of importsOf(file)) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
      assert.not(isBuiltin(specifier), `${file}: write node:${specifier}`);
      const name = packageOf(specifier);
      found.set(name, (found.get(name) ?? new Set()).add(file));
    }
  }
  const homes = { ...HOMES, ...DEV_HOMES };
  for (const [name, files] of found) {
    assert.equal([...files].sort(), [...(homes[name] ?? [])].sort(), `homes of ${name}`);
  }
  assert.equal([...found.keys()].sort(), Object.keys(homes).sort());
  for (const file of Object.values(DEV_HOMES).flat()) {
    const code = codeOf(read(file), 'code and strings');
    const bare = code.replace(/import type [^;]*;/g, '');
    assert.not.match(bare, /\bfrom 'ws'/, `${file} must start without it`);
  }
});

test('every dependency of the package has a home, and nothing else does', () => {
  const { dependencies } = JSON.parse(read('package.json')) as {
    dependencies: Record<string, string>;
  };
  // `node` is the runtime itself; bin/ackbench.mjs starts it.
  const known = Object.keys(dependencies).filter((name) => name !== 'node');
  assert.equal(known.sort(), Object.keys(HOMES).sort());
  for (const [name, version] of Object.entries(dependencies)) {
    assert.match(version, /^(npm:[\w.-]+@)?\d+\.\d+\.\d+$/, `${name} is pinned`);
  }
});

test('protocol/ knows no package, no clock, no randomness, no IO', () => {
  const forbidden =
    /\b(Date|Math\.random|performance|process|Buffer|setTimeout|setInterval|setImmediate|queueMicrotask|console|crypto|fetch|WebSocket|require|globalThis|async|await|Promise)\b/;
  for (const file of SOURCES.filter((name) => name.startsWith('protocol/'))) {
    const found = forbidden.exec(codeOf(read(file), 'code'));
    assert.is(found?.[0], undefined, file);
    for (const specifier of importsOf(file)) {
      assert.ok(specifier.startsWith('./'), `${file} must not import ${specifier}`);
    }
  }
});

test('randomness of a run is seeded: nobody asks Math.random', () => {
  // Which port a server gets is no part of a run.
  const allowed = new Set(['bench/server-process.ts']);
  for (const file of SOURCES) {
    if (allowed.has(file)) continue;
    assert.not(/\bMath\.random\b/.test(codeOf(read(file), 'code')), file);
  }
});

test('every source file begins by saying what it owns', () => {
  for (const file of SOURCES) {
    const header = /^\/\*\*\s*(?:\* ?)?(.*?)\*\//s.exec(read(file))?.[1] ?? '';
    assert.ok(header.replace(/\s+\*?\s*/g, ' ').trim().length >= 20, `${file} has no header`);
  }
});

test('no file grows beyond its limit without a reason', () => {
  const long: string[] = [];
  for (const file of [...SOURCES, ...TESTS]) {
    const lines = read(file).split('\n').length - 1;
    if (lines > (file.startsWith('test/') ? TEST_LINES_MAX : LINES_MAX)) long.push(file);
  }
  for (const file of long) assert.ok(LONG_FILES[file], `${file} wants splitting`);
  for (const file of Object.keys(LONG_FILES)) {
    assert.ok(existsSync(join(ROOT, file)), `${file} is gone: take it off the list`);
  }
});

test('no file has a name that says nothing', () => {
  for (const file of [...SOURCES, ...TESTS]) {
    assert.not.match(file, /\b(utils?|helpers?|common|types|misc)\.(test\.)?ts$/);
    assert.match(posix.basename(file), /^[a-z0-9-]+(\.prop)?(\.test)?\.ts$/);
  }
});

test('every test file runs its tests', () => {
  for (const file of TESTS.filter((name) => name.endsWith('.test.ts'))) {
    const text = read(file);
    const suites = [...text.matchAll(/^const (\w+) = suite\b/gm)].map(([, name]) => name);
    if (/^import \{[^}]*\btest\b[^}]*\} from 'uvu';$/m.test(text)) suites.push('test');
    assert.ok(suites.length > 0, `${file} has no suite`);
    for (const suite of suites) {
      assert.match(text, new RegExp(`^${suite}\\.run\\(\\);$`, 'm'), `${file}: ${suite}.run()`);
    }
    assert.not.match(text, /^(test|\w*[sS]uite)\.only\(/m, file);
  }
});

test('tests of a room have a file of that room or a matter of their own', () => {
  for (const folder of readdirSync(join(ROOT, 'test'), { withFileTypes: true })) {
    if (!folder.isDirectory()) continue;
    assert.ok([...ROOMS, ...MATTERS].includes(folder.name), folder.name);
  }
});

test('the documents know the version of the package', () => {
  const { name, version } = JSON.parse(read('package.json')) as { name: string; version: string };
  if (existsSync(join(ROOT, 'CHANGELOG.md'))) {
    const newest = /^## \[?(\d+\.\d+\.\d+)/m.exec(read('CHANGELOG.md'))?.[1];
    assert.is(newest, version, 'the newest entry of CHANGELOG.md');
  }
  if (existsSync(join(ROOT, 'README.md'))) {
    const mentions = read('README.md').matchAll(
      new RegExp(`\\b${name}[@ ]v?(\\d+\\.\\d+\\.\\d+)`, 'g'),
    );
    for (const [text, found] of mentions) assert.is(found, version, `README.md says ${text}`);
  }
});

test.run();
