/** Bytes on the wire, exact from the frame layouts (docs/PROTOCOL.md, RFC 6455 section 5.2). */
import { KIND_NAME, KINDS, PACKET_BYTES, ROW_HEADER_BYTES } from '../../loadgen/index.ts';
import type { CapacityRun, NetworkLaw } from './file.ts';

/** IPv4 and TCP with timestamps; a small packet is a segment of its own. */
const SEGMENT_BYTES = 52;
const MASK_BYTES = 4;
/** Where no run pulled a row: half of the default page. */
const ROWS_PER_PAGE_ASSUMED = 50;

const PACKET: Readonly<Record<string, number>> = Object.fromEntries(
  KINDS.map((kind) => [KIND_NAME[kind], PACKET_BYTES[kind]]),
);

/** Header of a server's frame; a client's has the mask in addition. */
function headerBytes(payloadBytes: number): number {
  return payloadBytes <= 125 ? 2 : payloadBytes <= 65_535 ? 4 : 10;
}

function inBytes(name: string, contentBytes = 0): number {
  const packet = PACKET[name] as number;
  return packet + headerBytes(packet + contentBytes) + MASK_BYTES;
}

function outBytes(name: string, contentBytes = 0): number {
  const packet = PACKET[name] as number;
  return packet + headerBytes(packet + contentBytes);
}

/** The law for content of about `payloadBytes`: the size decides how long a frame's header is. */
export function networkLaw(runs: readonly CapacityRun[], payloadBytes: number): NetworkLaw {
  const perConnect = runs.find(({ measured }) => measured.perConnect !== null)?.measured.perConnect;
  const rows = rowsPerPage(runs);
  const pageHeader = headerBytes(rows * (ROW_HEADER_BYTES + payloadBytes));
  return {
    inBytes: {
      online: inBytes('msg:R', payloadBytes) + inBytes('ack:R'),
      stored: inBytes('msg:R', payloadBytes),
      pulled: inBytes('pull:R') / rows,
      connect: perConnect?.bytesSent ?? 0,
    },
    outBytes: {
      online:
        outBytes('msg:A') + outBytes('msg:N', payloadBytes) + outBytes('ack:A') + outBytes('ack:N'),
      stored: outBytes('msg:A') + outBytes('ack:N'),
      pulled: ROW_HEADER_BYTES + ((PACKET['pull:A'] as number) + pageHeader) / rows,
      connect: perConnect?.bytesReceived ?? 0,
    },
    contentIn: { online: 1, stored: 1, pulled: 0 },
    contentOut: { online: 1, stored: 0, pulled: 1 },
    segmentBytes: SEGMENT_BYTES,
  };
}

/**
 * Mean rows of a page that has any. A pull:R acknowledges the page before it, so a login that gets k pages
 * sends k + 1 of them: what is left without one per login is the number of pages.
 */
function rowsPerPage(runs: readonly CapacityRun[]): number {
  let rows = 0;
  let pages = 0;
  for (const { measured } of runs) {
    rows += measured.rates.pulled;
    pages += Math.max(0, (measured.packetsPerSec['pull:R'] ?? 0) - measured.rates.connect);
  }
  return rows > 0 && pages > 0 ? Math.max(1, rows / pages) : ROWS_PER_PAGE_ASSUMED;
}
