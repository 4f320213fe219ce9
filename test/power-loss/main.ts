/**
 * The power-loss test as a loop: `npm run power-loss -- [--rounds N] [--seed S] [--mutant M]`.
 * A line per round, breaches below it. Exit code 0 when every round passed (with --mutant: when one
 * did not), 1 otherwise, 2 for wrong flags, 3 when the disk shim cannot be built here, 130 when it was
 * interrupted and no round had failed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildShim } from './disk-shim.ts';
import { type RoundReport, runRound } from './round.ts';
import { MUTANTS, type StoreMutant } from './victim.ts';

const LIVES = 3;
const HELP = `Power losses and disk faults on the real server: npm run power-loss -- [flags]
  --rounds N     rounds (default 10)
  --seed S       of the first round (default 1): fixes the faults, not the timing of the server
  --mutant NAME  with a planted bug: ${MUTANTS.join(', ')}
Exit code 0 = every round passed (with --mutant: one did not), 1 = not so, 2 = wrong flags,
3 = nothing was tested: it needs Linux and a C compiler, 130 = interrupted, all well so far.`;
const BREACHES_SHOWN = 3;

function wholeOf(text: string, name: string): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1) usage(`--${name} ${text}: must be a whole number from 1 on`);
  return value;
}

function usage(mistake: string): never {
  console.error(`power-loss: ${mistake}`);
  console.error('power-loss: flags are --rounds N, --seed S and --mutant NAME');
  console.error(`power-loss: mutants are ${MUTANTS.join(', ')}`);
  process.exit(2);
}

function flags(): { rounds: number; seed: number; mutant: StoreMutant | undefined } {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: 'string', default: '10' },
        seed: { type: 'string', default: '1' },
        mutant: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help === true) {
      console.log(HELP);
      process.exit(0);
    }
    const mutant = MUTANTS.find((name) => name === values.mutant);
    if (values.mutant !== mutant) usage(`no such mutant: ${values.mutant}`);
    return { rounds: wholeOf(values.rounds, 'rounds'), seed: wholeOf(values.seed, 'seed'), mutant };
  } catch (error) {
    return usage((error as Error).message);
  }
}

function print(report: RoundReport): void {
  const { seed, policy, ends, confirmed, losses, kept, torn, discarded, recovered } = report;
  const facts = [
    `seed ${String(seed).padEnd(5)} ${policy.padEnd(7)}`,
    `${String(confirmed).padStart(4)} confirmed`,
    `${String(losses).padStart(3)} power losses: ${discarded} writes discarded, ${kept} kept, ${torn} torn`,
    `${recovered} rows recovered`,
    ends.join(' > '),
  ];
  const { breaches } = report;
  console.log(`${breaches.length === 0 ? 'ok  ' : 'FAIL'} ${facts.join('  ')}`);
  for (const breach of breaches.slice(0, BREACHES_SHOWN)) console.log(`     ${breach}`);
  const more = breaches.length - BREACHES_SHOWN;
  if (more > 0) console.log(`     and ${more} more`);
}

async function main(): Promise<number> {
  const { rounds, seed, mutant } = flags();
  const directory = mkdtempSync(join(tmpdir(), 'ackbench-power-loss-'));
  const remove = (): void => {
    // Retried: what is killed at this moment may just be writing there.
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
  };
  process.on('exit', remove);
  let done = 0;
  let failed = 0;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      const rounds = done === 1 ? '1 round' : `${done} rounds`;
      console.error(`power-loss: interrupted after ${rounds}, ${failed} failed`);
      process.exit(failed > 0 && mutant === undefined ? 1 : 130);
    });
  }
  try {
    const shim = buildShim(directory);
    if ('why' in shim) {
      console.error(`power-loss: nothing was tested: ${shim.why}`);
      return 3;
    }
    for (let i = 0; i < rounds; i++) {
      const report = await runRound({
        seed: seed + i,
        lives: LIVES,
        libraryPath: shim.path,
        directory: join(directory, `round-${i}`),
        mutant,
      }).catch((error: unknown) => {
        throw new Error(`round of seed ${seed + i}: ${(error as Error).message}`, { cause: error });
      });
      print(report);
      done++;
      if (report.breaches.length > 0) failed++;
    }
    console.log(`rounds: ${rounds}, failed: ${failed}`);
    if (mutant !== undefined) {
      const said = failed > 0 ? 'was caught, as it must be' : 'was NOT caught';
      console.log(`the planted bug ${mutant} ${said}`);
    }
    return failed > 0 === (mutant !== undefined) ? 0 : 1;
  } finally {
    remove();
  }
}

process.exitCode = await main();
