/** The door of protocol/: the pure core, without IO, clock or randomness. */
export { assert, never } from './assert.ts';
export * from './packet.ts';
export * from './errors.ts';
export * from './codec.ts';
export * from './effects.ts';
export { IntervalSet } from './interval-set.ts';
export { DEFAULT_RETRANSMIT, Sender, type RetransmitTimers, type SenderOptions } from './sender.ts';
export { Receiver } from './receiver.ts';
export { DEFAULT_REQUEST_TIMEOUT_MS, Puller, type PullerOptions, PullStrategy } from './puller.ts';
export { Client, type ClientOptions } from './client.ts';
export { decodePageToken, encodePageToken, type PageRange } from './page-token.ts';
export * from './gateway-effects.ts';
export * from './gateway.ts';
