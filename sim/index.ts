/** The door of sim/: the machines in seeded, simulated worlds. */
export { main } from './main.ts';
export { drawPlan, type Plan, type Step } from './plan.ts';
export { type RunOutcome, runPlan, runSeed } from './run.ts';
export { shrink, type Shrunk } from './shrink.ts';
