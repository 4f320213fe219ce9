/**
 * The opening handshake of RFC 6455 as data: requests that a server must take or refuse (section
 * 4.2.1), and answers that a client must take or refuse (section 4.1).
 */

/** What a client sends, and the HTTP status that the RFC wants (`end`: closed without one). */
export interface UpgradeRequest {
  readonly title: string;
  /** Bytes per TCP segment; default all at once. */
  readonly segment?: number;
  readonly wants: string;
  /** Where the server is known to differ. */
  readonly known?: {
    readonly verdict: 'non-strict' | 'failed';
    readonly status: string;
    readonly why: string;
  };
  bytes(token: string): string;
}

const GOOD: Readonly<Record<string, string>> = {
  Host: 'x',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'AQIDBAUGBwgJCgsMDQ4PEA==',
};

/** A request that is good but for `changes`; null leaves a header out. */
function asking(
  changes: Readonly<Record<string, string | null>> = {},
  line = 'GET /v1/ws HTTP/1.1',
): (token: string) => string {
  return (token) => {
    const headers = { ...GOOD, Authorization: `Bearer ${token}`, ...changes };
    const lines = Object.entries(headers).flatMap(([name, value]) =>
      value === null ? [] : [`${name}: ${value}`],
    );
    return `${[line, ...lines].join('\r\n')}\r\n\r\n`;
  };
}

const ONLY_KEY =
  'uWebSockets.js knows an upgrade by its Sec-WebSocket-Key alone, and our upgrade handler asks for no more';

export const REQUESTS: readonly UpgradeRequest[] = [
  { title: 'a good request', wants: '101', bytes: asking() },
  { title: 'a good request in pieces of 30 bytes', wants: '101', segment: 30, bytes: asking() },
  {
    title: 'a good request, cut at every byte',
    segment: 1,
    wants: '101',
    known: {
      verdict: 'failed',
      status: '505',
      why: 'uWebSockets.js wants the method, and the path with the HTTP version, each in one TCP segment; a cut behind the request line is taken',
    },
    bytes: asking(),
  },
  {
    title: 'names and tokens in other letters, among others',
    wants: '101',
    bytes: asking({
      Upgrade: null,
      Connection: null,
      uPGRADE: 'WebSocket',
      cONNECTION: 'keep-alive, UPGRADE',
    }),
  },
  {
    title: 'unknown headers and extensions',
    wants: '101',
    bytes: asking({
      'X-Other': 'y'.repeat(1000),
      'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x-unknown',
    }),
  },
  {
    title: 'no Sec-WebSocket-Key',
    wants: '400',
    known: {
      verdict: 'non-strict',
      status: '404',
      why: 'without a key it is no upgrade but a path',
    },
    bytes: asking({ 'Sec-WebSocket-Key': null }),
  },
  {
    title: 'a Sec-WebSocket-Key of 4 bytes',
    wants: '400',
    known: {
      verdict: 'non-strict',
      status: '404',
      why: 'without a key it is no upgrade but a path',
    },
    bytes: asking({ 'Sec-WebSocket-Key': 'AQIDBA==' }),
  },
  {
    title: 'no Upgrade header',
    wants: '400',
    known: { verdict: 'failed', status: '101', why: ONLY_KEY },
    bytes: asking({ Upgrade: null }),
  },
  {
    title: 'an upgrade to something else',
    wants: '400',
    known: { verdict: 'failed', status: '101', why: ONLY_KEY },
    bytes: asking({ Upgrade: 'h2c' }),
  },
  {
    title: 'no Connection header',
    wants: '400',
    known: { verdict: 'failed', status: '101', why: ONLY_KEY },
    bytes: asking({ Connection: null }),
  },
  {
    title: 'version 8',
    wants: '426',
    known: { verdict: 'failed', status: '101', why: ONLY_KEY },
    bytes: asking({ 'Sec-WebSocket-Version': '8' }),
  },
  {
    title: 'no version',
    wants: '426',
    known: { verdict: 'failed', status: '101', why: ONLY_KEY },
    bytes: asking({ 'Sec-WebSocket-Version': null }),
  },
  { title: 'no Host', wants: '400', bytes: asking({ Host: null }) },
  {
    title: 'POST',
    wants: '400',
    known: { verdict: 'non-strict', status: '404', why: 'no such path for another method' },
    bytes: asking({}, 'POST /v1/ws HTTP/1.1'),
  },
  { title: 'HTTP/1.0', wants: '505', bytes: asking({}, 'GET /v1/ws HTTP/1.0') },
  {
    title: 'a header of 20,000 bytes',
    wants: '431',
    bytes: asking({ 'X-Long': 'x'.repeat(20_000) }),
  },
  { title: 'a bad token', wants: '401', bytes: asking({ Authorization: 'Bearer x' }) },
  {
    title: 'bytes that are no HTTP',
    wants: '400',
    known: { verdict: 'non-strict', status: '505', why: 'taken for another version of HTTP' },
    bytes: () => '\x16\x03\x01\x02\r\n\r\n',
  },
];

/** What a server answers, and what becomes of the client: `open`, or `closed` with a code. */
export interface UpgradeAnswer {
  readonly title: string;
  readonly segment?: number;
  readonly wants: string;
  bytes(accept: string): string;
}

function answering(
  changes: Readonly<Record<string, string | null>> = {},
  line = 'HTTP/1.1 101 Switching Protocols',
): (accept: string) => string {
  return (accept) => {
    const good = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Accept': accept };
    const lines = Object.entries({ ...good, ...changes }).flatMap(([name, value]) =>
      value === null ? [] : [`${name}: ${value}`],
    );
    return `${[line, ...lines].join('\r\n')}\r\n\r\n`;
  };
}

export const ANSWERS: readonly UpgradeAnswer[] = [
  { title: 'a good answer', wants: 'open', bytes: answering() },
  { title: 'a good answer, cut at every byte', wants: 'open', segment: 1, bytes: answering() },
  {
    title: 'names and tokens in other letters, among others',
    wants: 'open',
    bytes: (accept) =>
      `HTTP/1.1 101 Whatever\r\nSEC-WEBSOCKET-ACCEPT:${accept}\r\nupgrade:WebSocket\r\n` +
      `connection: keep-alive, upgrade\r\nServer: x\r\n\r\n`,
  },
  { title: 'status 200', wants: 'closed 1006', bytes: answering({}, 'HTTP/1.1 200 OK') },
  {
    title: 'status 302',
    wants: 'closed 1006',
    bytes: answering({ Location: '/' }, 'HTTP/1.1 302 Found'),
  },
  {
    title: 'HTTP/1.0',
    wants: 'closed 1006',
    bytes: answering({}, 'HTTP/1.0 101 Switching Protocols'),
  },
  { title: 'no HTTP at all', wants: 'closed 1006', bytes: () => 'SSH-2.0-x\r\n\r\n' },
  { title: 'no Upgrade', wants: 'closed 1002', bytes: answering({ Upgrade: null }) },
  {
    title: 'an upgrade to something else',
    wants: 'closed 1002',
    bytes: answering({ Upgrade: 'h2c' }),
  },
  { title: 'no Connection', wants: 'closed 1002', bytes: answering({ Connection: null }) },
  { title: 'Connection: close', wants: 'closed 1002', bytes: answering({ Connection: 'close' }) },
  { title: 'no Accept', wants: 'closed 1002', bytes: answering({ 'Sec-WebSocket-Accept': null }) },
  {
    title: 'an Accept with one letter changed',
    wants: 'closed 1002',
    bytes: (accept) => answering()(accept.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))),
  },
  {
    title: 'an extension that was not offered',
    wants: 'closed 1002',
    bytes: answering({ 'Sec-WebSocket-Extensions': 'permessage-deflate' }),
  },
  {
    title: 'a subprotocol that was not offered',
    wants: 'closed 1002',
    bytes: answering({ 'Sec-WebSocket-Protocol': 'chat' }),
  },
  {
    title: 'a head of 20,000 bytes',
    wants: 'closed 1002',
    bytes: answering({ X: 'x'.repeat(20_000) }),
  },
];
