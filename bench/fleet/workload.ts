/**
 * What a gateway of the simulated fleet has to do, from the fitted model: packets, each with its share of
 * all direct work, and connects. A confirm takes what the measured law says at the busy share of the
 * moment, and on top of it what it really waited in the simulated queue: the law knows everything that a
 * steady server does to its tail (collections, turns that flush many sockets), the queue knows what the
 * law cannot, work that piles up. Alone, neither would do: the law is infinite at full load, and no
 * queue with the mean service times has the tail that was measured.
 */
import type { Parameters } from '../capacity/file.ts';
import {
  confirmUsAt,
  demandOf,
  effectiveCores,
  type FleetPlan,
  type PlanInputs,
  TLS_ASSUMED,
  workOf,
} from '../plan/formulas.ts';

/** Beyond, the law is hardly measured, and what piles up is in the queue. */
const LAW_SHARE_MAX = 0.95;

/** Of one gateway, or of one measured server. */
export interface Service {
  /** Direct work of a packet, mean. */
  readonly packetS: number;
  /** What it costs on top when it finds the loop asleep, mean. */
  readonly wakeUpS: number;
  /** p99 of confirm over the busy share. */
  readonly p99Law: { readonly aUs: number; readonly bUs: number };
}

export interface FleetWorkload extends Service {
  readonly gateways: number;
  readonly perNode: number;
  readonly connections: number;
  /** Packets of a connection per second, at the peak. */
  readonly packetsPerConnection: number;
  /** Of the packets, those that are a msg:R: they come again when they are not answered. */
  readonly msgRShare: number;
  readonly connectS: number;
  /** Work that each second away leaves for the login: messages to pull, and messages to send. */
  readonly perAwayS: number;
  readonly retransmitS: number;
}

/**
 * Service of packets at `packetsPerSec` that cost `directS` of a core per second, and `wakeS` more if all
 * of them found the loop asleep.
 */
export function serviceOf(
  { latency }: Parameters,
  {
    directS,
    wakeS,
    packetsPerSec,
  }: { readonly directS: number; readonly wakeS: number; readonly packetsPerSec: number },
): Service {
  const law = latency.find(({ quantile }) => quantile === 'p99');
  const perPacket = (perSec: number): number => (packetsPerSec > 0 ? perSec / packetsPerSec : 0);
  return {
    packetS: perPacket(directS),
    wakeUpS: perPacket(wakeS),
    p99Law: { aUs: law?.aUs ?? 0, bUs: law?.bUs ?? 0 },
  };
}

/** p99 of confirm in seconds: the law at the busy share, and the wait of the queue. */
export function p99Of({ p99Law }: Service, busyShare: number, waitP99S: number): number {
  return confirmUsAt(p99Law, Math.min(LAW_SHARE_MAX, busyShare)) / 1e6 + waitP99S;
}

/** The planned fleet, or another number of the same nodes, at the peak. */
export function workloadOf(
  parameters: Parameters,
  inputs: PlanInputs,
  { fleet, nodes }: { readonly fleet: FleetPlan; readonly nodes: number },
): FleetWorkload {
  const demand = demandOf(inputs);
  const { demandUs } = parameters;
  const work = workOf(demandUs, demand, inputs);
  const packetsPerSec = demand.packetsInPerSec + demand.extraHeartbeatsPerSec;
  const perConnectionPerSec = demand.messagesPerSec / demand.connections;
  const service = serviceOf(parameters, {
    directS: work.direct,
    wakeS: work.wake,
    packetsPerSec,
  });
  // What a node's processes lose to each other makes all their work longer.
  const longer = fleet.machine.cores / effectiveCores(fleet.machine, inputs);
  const connectUs = demandUs.connect + (inputs.tls ? TLS_ASSUMED.handshakeUs : 0);
  return {
    ...service,
    packetS: longer * service.packetS,
    wakeUpS: longer * service.wakeUpS,
    gateways: nodes * fleet.machine.cores,
    perNode: fleet.machine.cores,
    connections: Math.round(demand.connections),
    packetsPerConnection: packetsPerSec / demand.connections,
    msgRShare: packetsPerSec > 0 ? demand.messagesPerSec / packetsPerSec : 0,
    connectS: (longer * connectUs) / 1e6,
    perAwayS: (longer * perConnectionPerSec * (demandUs.pulled + demandUs.online)) / 1e6,
    retransmitS: (longer * demandUs.retransmit) / 1e6,
  };
}
