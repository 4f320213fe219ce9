/**
 * Settings of the server and scenario files against any text. Mistakes are listed in words; nothing
 * throws, and no stack trace reaches the user.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mutateBytes } from './mutate.ts';
import { expect, type OpenTarget } from './target.ts';

const EXAMPLES = join(import.meta.dirname, '../../docs/examples');
const MISTAKE_MAX_CHARS = 20_000;

/** What the first byte of an input chooses. */
const SUBJECTS = ['server file', 'server flags', 'server environment', 'scenario file'] as const;

function subjectOf(input: Buffer): (typeof SUBJECTS)[number] {
  return SUBJECTS[(input[0] ?? 0) % SUBJECTS.length] as (typeof SUBJECTS)[number];
}

/** `name=value` lines as a map without a prototype, as process.env is. */
function pairsOf(text: string): Record<string, string> {
  const pairs = Object.create(null) as Record<string, string>;
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) pairs[line.slice(0, at)] = line.slice(at + 1);
  }
  return pairs;
}

export const openConfigTarget: OpenTarget = async () => {
  const { environmentOf, loadServerConfig, SETTING_NAMES } = await import('../../server/config.ts');
  const { readScenarioFile } = await import('../../bench/scenario.ts');
  // The YAML library warns of tags it does not know by process.emitWarning, thousands of times here.
  process.removeAllListeners('warning');
  const directory = mkdtempSync(join(tmpdir(), 'ackbench-fuzz-'));
  const file = join(directory, 'settings.yaml');
  const defaults = loadServerConfig({ flags: {}, environment: {}, file: undefined });
  const settings = Object.entries(defaults);
  const words = [
    '{}',
    '[]',
    'null',
    'true',
    '-1',
    '1e999',
    '.nan',
    '0x10',
    '&a',
    '*a',
    '!!js ',
    '<<:',
  ];
  const seed = (subject: (typeof SUBJECTS)[number], text: string): Buffer =>
    Buffer.concat([Buffer.of(SUBJECTS.indexOf(subject)), Buffer.from(text)]);
  const yaml = settings.map(([name, value]) => `${name}: ${String(value)}`).join('\n');
  const lines = settings.map(([name, value]) => `${name}=${String(value)}`).join('\n');
  const environment = settings
    .map(([name, value]) => `${environmentOf(name)}=${String(value)}`)
    .join('\n');
  const examples = readdirSync(EXAMPLES)
    .filter((name) => /\.(ya?ml|json)$/.test(name))
    .map((name) => readFileSync(join(EXAMPLES, name), 'utf8'));

  const outcomeOf = (input: Buffer): object => {
    const text = input.subarray(1);
    switch (subjectOf(input)) {
      case 'server file':
        writeFileSync(file, text);
        return loadServerConfig({ flags: {}, environment: {}, file });
      case 'server flags': {
        const flags = pairsOf(text.toString('utf8'));
        return loadServerConfig({ flags, environment: {}, file: undefined });
      }
      case 'server environment': {
        const pairs = pairsOf(text.toString('utf8'));
        return loadServerConfig({ flags: {}, environment: pairs, file: undefined });
      }
      default:
        writeFileSync(file, text);
        return readScenarioFile(file);
    }
  };

  return {
    sources: /\/(server\/config|bench\/scenario)\.ts$/,
    maxBytes: 8192,
    batch: 32,
    dictionary: [...SETTING_NAMES, ...words, 'load:', 'variants:', 'faults:', 'thresholds:', '\n']
      .concat('kind: load', 'kind: offline-cost', 'kind: http-pull', 'kind: trace', ': ', '  - ')
      .map((word) => Buffer.from(word)),
    seeds: [
      seed('server file', yaml),
      seed('server flags', lines),
      seed('server environment', environment),
      ...examples.map((text) => seed('scenario file', text)),
    ],
    mutate: mutateBytes,
    run(input) {
      const outcome = outcomeOf(input);
      if (!('mistakes' in outcome)) return;
      const mistakes = outcome.mistakes as string[];
      expect(mistakes.length > 0, 'refused without a mistake');
      for (const mistake of mistakes) {
        expect(typeof mistake === 'string' && mistake.trim() !== '', 'an empty mistake');
        expect(!/\n\s+at .+:\d+:\d+/.test(mistake), `a stack trace: ${mistake}`);
        expect(mistake.length < MISTAKE_MAX_CHARS, `a mistake of ${mistake.length} characters`);
      }
    },
    describe: (input) => `${subjectOf(input)}:\n${input.subarray(1).toString('utf8')}`,
    close() {
      rmSync(directory, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
};
