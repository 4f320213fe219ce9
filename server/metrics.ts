/**
 * Prometheus text (format 0.0.4) from the plain counters. The only file that knows the metrics
 * library; nothing here runs unless /metrics is asked for.
 */
import { Counter, Gauge, collectDefaultMetrics, Registry } from 'prom-client';
import { KIND_NAME, KINDS } from '../protocol/index.ts';
import type { Counters, PerKind } from './counters.ts';
import type { StoreStats } from './stores/store.ts';

export interface MetricsSources {
  readonly counters: Counters;
  online(): number;
  connections(): number;
  pendingOperations(): number;
  store(): StoreStats;
}

/** Returns the text of /metrics and its content type. */
export function createMetrics(sources: MetricsSources): {
  text(): Promise<string>;
  readonly contentType: string;
} {
  const { counters } = sources;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'ackbench_' });

  const perKind = (name: string, help: string, values: PerKind): void => {
    registerCounter(name, help, ['packet'], (counter) => {
      for (const kind of KINDS) {
        counter.inc({ packet: KIND_NAME[kind] }, values[kind] as number);
      }
    });
  };
  const registerCounter = <Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    fill: (counter: Counter<Label>) => void,
  ): void => {
    const counter = new Counter<Label>({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        fill(counter);
      },
    });
  };
  const registerGauge = (name: string, help: string, read: () => number): void => {
    const gauge: Gauge = new Gauge({ name, help, registers: [], collect: () => gauge.set(read()) });
    registry.registerMetric(gauge);
  };

  perKind('ackbench_packets_received_total', 'Packets received by kind', counters.received);
  perKind('ackbench_packets_sent_total', 'Packets handed to a socket by kind', counters.sent);
  perKind(
    'ackbench_packets_dropped_total',
    'Packets not sent because the buffer of the socket was full',
    counters.droppedBackpressure,
  );
  registerCounter(
    'ackbench_packets_dropped_closed_total',
    'Packets not sent because the socket closed in the same loop turn',
    [],
    (counter) => counter.inc(counters.droppedClosed),
  );
  registerCounter(
    'ackbench_retransmissions_received_total',
    'msg:R packets that were retransmissions',
    [],
    (counter) => counter.inc(counters.retransmissionsReceived),
  );
  registerCounter('ackbench_connections_opened_total', 'WebSocket sessions opened', [], (counter) =>
    counter.inc(counters.connectionsOpened),
  );
  registerCounter(
    'ackbench_connections_closed_total',
    'WebSocket sessions closed by close code',
    ['code'],
    (counter) => {
      for (const [code, count] of counters.closedByCode) counter.inc({ code: String(code) }, count);
    },
  );
  registerCounter(
    'ackbench_upgrades_refused_total',
    'Upgrades refused by error code',
    ['code'],
    (counter) => {
      for (const [code, count] of counters.refusedByCode) counter.inc({ code }, count);
    },
  );
  registerCounter('ackbench_http_requests_total', 'HTTP API requests', [], (counter) =>
    counter.inc(counters.httpRequests),
  );
  registerCounter(
    'ackbench_remove_failures_total',
    'Deletions on ack:R that failed',
    [],
    (counter) => counter.inc(counters.removeFailures),
  );
  registerCounter('ackbench_store_commits_total', 'Store commits', [], (counter) =>
    counter.inc(sources.store().commits),
  );
  registerCounter('ackbench_store_commit_failures_total', 'Store commits that failed', [], (c) =>
    c.inc(sources.store().commitFailures),
  );
  registerGauge('ackbench_online_users', 'Users online', () => sources.online());
  registerGauge('ackbench_connections', 'Open WebSocket sessions', () => sources.connections());
  registerGauge('ackbench_pending_operations', 'Store operations in flight', () =>
    sources.pendingOperations(),
  );
  registerGauge('ackbench_store_pending_writes', 'Writes waiting for a commit', () => {
    return sources.store().pendingWrites;
  });
  registerGauge(
    'ackbench_store_stopped',
    '1 when the disk failed and the store needs a restart',
    () => Number(sources.store().isStopped),
  );
  registerGauge('ackbench_store_indexed_rows', 'Rows in the in-memory inbox index', () => {
    return sources.store().indexedRows;
  });

  return { text: () => registry.metrics(), contentType: registry.contentType };
}
