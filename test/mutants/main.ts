/**
 * `npm run mutants [-- FILTER]`: hunts every planted bug, or those whose name or part fits FILTER, and
 * prints which check caught it and how many seeds it took, as the table of docs/RELIABILITY.md. Exit 1
 * when one survives.
 */
import { hunt, SEEDS_MAX, tableOf } from './hunt.ts';

const filter = process.argv[2] ?? '';
if (filter === '--help' || filter === '-h') {
  process.stdout.write(
    'Usage: npm run mutants [-- part of a name, or client|gateway|store|ledger|checker]\n',
  );
  process.exit(0);
}
// Only now: importing them builds every changed edition of the checker.
const { CHECKER_MUTANTS } = await import('./checker-mutants.ts');
const { loadProtocolMutants } = await import('./protocol-mutants.ts');
const mutants = [...(await loadProtocolMutants()), ...CHECKER_MUTANTS].filter(
  ({ name, part }) => name.includes(filter) || part === filter,
);
if (mutants.length === 0) {
  process.stderr.write(`mutants: none is called ${filter}\n`);
  process.exit(2);
}
const hunted = mutants.map((mutant, index) => {
  if (index % 10 === 0) process.stderr.write(`mutants: ${index} of ${mutants.length} hunted\n`);
  return hunt(mutant);
});
const survivors = hunted.filter(({ caughtBy }) => caughtBy === null);
process.stdout.write(`${tableOf(hunted)}\n\n`);
const seeds = hunted.map((one) => one.seeds).sort((a, b) => a - b);
const median = seeds[Math.floor(seeds.length / 2)];
process.stdout.write(
  `${hunted.length} planted bugs, ${hunted.length - survivors.length} caught within ${SEEDS_MAX} seeds; median ${median}, most ${seeds.at(-1)}\n`,
);
process.exitCode = survivors.length === 0 ? 0 : 1;
