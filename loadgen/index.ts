/** The door of loadgen/: virtual clients on worker threads, their ledger and recorders. */
export { auditBooks, type Audit, type Dedupe, type Ledger, MUST_BE_ZERO } from './audit.ts';
export { nowUs } from './clock.ts';
export type { DrainMeasure } from './drain-measure.ts';
export {
  FaultAction,
  type FaultCounts,
  FaultPlan,
  type LinkFaults,
  PACKET_FAULTS,
  type PacketFault,
} from './link.ts';
export { createTraceColumns, SessionEnd, type TraceColumns, TraceWhat } from './message-trace.ts';
export type { EchoOrder, EchoReport } from './echo-worker.ts';
export { endThreads, prepareThreads, runEcho, SwarmPool } from './pool.ts';
export { type ProcessSample, sampleProcess, sampleTree } from './process-sampler.ts';
export { Random } from './random.ts';
export {
  isQuantileKnown,
  LATENCY_MAX_US,
  type LatencySummary,
  percentileCurve,
  percentileText,
  Recorder,
} from './recorder.ts';
export { Arrivals, instantsUs, ReceiverChoice } from './schedule.ts';
export { Payload, PAYLOAD_MIN_BYTES, PayloadReader } from './payload.ts';
export { connectionsMax, isLoopback, parseEndpoint } from './endpoint.ts';
export type * from './swarm-config.ts';
export type { SwarmReport } from './swarm.ts';
export { LATENCIES, type Latency, type SecondSample } from './tally.ts';
export { createMinter } from './token.ts';
export type { SwarmStatus } from './worker.ts';
/** Of the protocol: what experiments name, and what the servers that calibrate them speak. */
export {
  Confirmation,
  decode,
  DecodeResult,
  encodeAlone,
  ExitCode,
  Kind,
  KIND_NAME,
  KINDS,
  Order,
  Outcome,
  Packet,
  PACKET_BYTES,
  Policy,
  PullStrategy,
  type RetransmitTimers,
  ROW_HEADER_BYTES,
  Status,
  statusName,
} from '../protocol/index.ts';
