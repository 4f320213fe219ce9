/** The door of protocol/: the pure core, without IO, clock or randomness. */
export { assert, never } from './assert.ts';
export * from './packet.ts';
export * from './errors.ts';
export * from './codec.ts';
export { IntervalSet } from './interval-set.ts';
