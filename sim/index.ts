/** The door of sim/: the machines in seeded, simulated worlds. */
export { main } from './main.ts';
export { drawPlan, type Plan, type Step } from './plan.ts';
export { type RunOutcome, runPlan, runSeed } from './run.ts';
export { shrink, type Shrunk } from './shrink.ts';
export { DEFAULT_SMALL_WORLD, type SmallWorldOptions } from './small-world-options.ts';
export { replaySmallWorld } from './small-world-live.ts';
export { searchSmallWorld, type SmallWorldReport } from './small-world-search.ts';
export { SmallStore } from './small-world-store.ts';
