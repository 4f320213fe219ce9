/** The door of sim/: the machines in a seeded, simulated world. */
export {};
