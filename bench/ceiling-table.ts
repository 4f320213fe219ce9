/** The ceiling scenario for people: server and generator beside what a socket costs at all. */
import type { CeilingReport } from './ceiling-run.ts';
import { columns } from './columns.ts';
import { formatCount, significant } from './units.ts';

export function renderCeiling(report: CeilingReport): string {
  const parts = [renderServer(report), renderClient(report)];
  if (report.scale.length > 0) parts.push(renderScale(report));
  if (report.blind !== null) {
    const { generatorUs, withoutUs, share } = report.blind;
    parts.push(
      `  books      ${significant(generatorUs)} us of generator CPU per message with ledger and histograms, ${significant(withoutUs)} us without: ${significant(share * 100)} %`,
    );
  }
  if (report.idle !== null) {
    const { clients, serverBytes, generatorBytes } = report.idle;
    parts.push(
      `  idle       ${formatCount(serverBytes)} B of server memory and ${formatCount(generatorBytes)} B of generator memory per client, ${formatCount(clients)} clients`,
    );
  }
  return parts.join('\n');
}

const number = (value: number | null): string => (value === null ? '-' : significant(value));

function renderServer({ rounds, points }: CeilingReport): string {
  const rows = [
    [
      'server',
      'window',
      'raw packets/s',
      'packets/s',
      'ratio',
      'confirmed/s',
      'raw us/echo',
      'us/packet',
      'us/message',
      'raw echoes/message',
    ],
  ];
  for (const { clients, window, echo, server, packetsRatio, cpuRatio } of points) {
    const perPacket = server.serverUs === null ? null : server.serverUs / server.packetsPerMessage;
    rows.push([
      `${formatCount(clients)} clients`,
      String(window),
      formatCount(2 * echo.echoesPerSec),
      formatCount(server.packetsPerSec),
      significant(packetsRatio),
      formatCount(server.confirmedPerSec),
      number(echo.serverUs),
      number(perPacket),
      number(server.serverUs),
      number(cpuRatio),
    ]);
  }
  const note = rounds === 1 ? '' : `  medians of ${rounds} rounds\n`;
  return `${note}${columns(rows)}`;
}

function renderClient({ points }: CeilingReport): string {
  const rows = [
    [
      'generator',
      'window',
      'own echo/s',
      'ws echo/s',
      'ratio',
      'own us/echo',
      'ws us/echo',
      'ratio',
      'us/message',
    ],
  ];
  for (const { clients, window, echo, ws, server, clientRatio, clientCpuRatio } of points) {
    rows.push([
      `${formatCount(clients)} clients`,
      String(window),
      formatCount(echo.echoesPerSec),
      ws === null ? '-' : formatCount(ws.echoesPerSec),
      number(clientRatio),
      significant(echo.clientUs),
      number(ws === null ? null : ws.clientUs),
      number(clientCpuRatio),
      significant(server.generatorUs),
    ]);
  }
  return columns(rows);
}

function renderScale({ scale }: CeilingReport): string {
  const rows = [
    ['scale', 'in flight', 'confirmed/s', 'ratio', 'server us/message', 'generator us'],
  ];
  for (const { clients, outstanding, server, rateRatio } of scale) {
    rows.push([
      `${formatCount(clients)} clients`,
      formatCount(outstanding),
      formatCount(server.confirmedPerSec),
      significant(rateRatio),
      number(server.serverUs),
      significant(server.generatorUs),
    ]);
  }
  return columns(rows);
}
