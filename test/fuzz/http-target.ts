/**
 * The live server's HTTP side against any bytes. Whatever is answered is an answer that the
 * documents know: a status and code of docs/ERRORS.md, or the WebSocket library's own refusal of
 * what is no HTTP; never an error of the server.
 */
import { connect } from 'node:net';
import { HTTP_ERROR } from '../../protocol/errors.ts';
import { inTime, LiveServer, tokenFor } from './live-server.ts';
import { mutateBytes } from './mutate.ts';
import { expect, type OpenTarget } from './target.ts';

const UID = 6001;
/** Stands for a good token, and for one that has expired: both differ from run to run. */
const TOKEN_WORD = '<token>';
const EXPIRED_WORD = '<expired>';
/** What uWebSockets.js answers by itself to bytes that are no request it can read. */
const LIBRARY_STATUSES = new Set([400, 413, 431, 505]);

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Reads answers one after the other; throws a Finding for what is no HTTP. */
function answersOf(bytes: Buffer): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf('\r\n\r\n', at);
    expect(end >= 0, 'an answer without an end of its head');
    const head = bytes.toString('latin1', at, end);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0);
    expect(status > 0, `an answer that is no HTTP: ${head.slice(0, 100)}`);
    const length = Number(/^content-length: *(\d+)$/im.exec(head)?.[1] ?? 0);
    // An upgrade that was let in: what follows is frames.
    const from = end + 4;
    const to = status === 101 || !/^content-length:/im.test(head) ? bytes.length : from + length;
    // A connection that the server closes in the middle of its answer shows as a shorter body.
    expect(to <= bytes.length, 'an answer that is shorter than it says');
    answers.push({ status, head, body: bytes.toString('utf8', from, to) });
    at = to;
  }
  return answers;
}

function checkAnswer({ status, head, body }: Answer): void {
  if (status === 200 || status === 101) return;
  if (!/^content-type: application\/json/im.test(head)) {
    expect(LIBRARY_STATUSES.has(status), `HTTP ${status} that is in no document: ${body}`);
    return;
  }
  const { error } = JSON.parse(body) as { error: { code: string; message: string } };
  expect(HTTP_ERROR[error.code] === status, `HTTP ${status} with code ${error.code}`);
  expect(status < 500, `HTTP ${status} ${error.code} from a server that is well`);
  expect(error.message.length > 0 && !/\n\s+at /.test(error.message), 'an error without words');
}

function request(line: string, headers: readonly string[] = [], body = ''): Buffer {
  return Buffer.from([`${line} HTTP/1.1`, 'Host: x', ...headers, '', body].join('\r\n'), 'latin1');
}

export const openHttpTarget: OpenTarget = async () => {
  const server = new LiveServer();
  await server.start();
  const token = tokenFor(UID);
  const expired = tokenFor(UID, -10);
  const authorization = `Authorization: Bearer ${TOKEN_WORD}`;
  const page = '00'.repeat(31) + '01';
  const body = JSON.stringify({ ack: page });

  const attack = (input: Buffer): Promise<void> => {
    const text = input.toString('latin1');
    const bytes = Buffer.from(
      text.replaceAll(TOKEN_WORD, token).replaceAll(EXPIRED_WORD, expired),
      'latin1',
    );
    return inTime(
      'the server closes after FIN',
      new Promise((resolve, reject) => {
        const chunks: Buffer[] = [];
        let isReset = false;
        const socket = connect(server.port, '127.0.0.1', () => socket.end(bytes));
        socket.on('data', (chunk: Buffer) => chunks.push(chunk));
        socket.on('error', () => (isReset = true));
        socket.on('close', () => {
          try {
            // What a reset took away is no answer to judge.
            if (!isReset)
              for (const answer of answersOf(Buffer.concat(chunks))) checkAnswer(answer);
            resolve();
          } catch (error) {
            reject(error as Error);
          }
        });
      }),
    );
  };

  return {
    sources: /\/server\/[\w-]+\.ts$/,
    maxBytes: 6000,
    batch: 8,
    dictionary: [
      ...[
        'GET ',
        'POST ',
        'PUT ',
        'OPTIONS ',
        'HEAD ',
        ' HTTP/1.1',
        ' HTTP/1.0',
        '\r\n',
        '\r\n\r\n',
      ],
      ...['/v1/inbox', '/v1/inbox/counts', '/v1/inbox/done', '/v1/ws', '/healthz', '/readyz'],
      ...['/metrics', '?', '&', '=', '%', '%00', '%zz', '%f0%9f', '/../', '//', '#'],
      ...['sender=', 'order=newest', 'order=oldest', 'limit=', 'limitBytes=', `ack=${page}`],
      ...[`token=${TOKEN_WORD}`, TOKEN_WORD, EXPIRED_WORD, authorization, 'Bearer ', 'bearer.'],
      ...['Content-Length: ', 'Transfer-Encoding: chunked', 'Expect: 100-continue', 'Host: '],
      ...['Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==', 'Upgrade: websocket', body, '{', '"ack"'],
      ...['Sec-WebSocket-Protocol: ackbench.v1', 'Connection: close', '0', '1', '4096', '-1'],
      ...['9007199254740992', '18446744073709551616', '5\r\nhello\r\n0\r\n\r\n', '\0', '\xff'],
    ].map((word) => Buffer.from(word, 'latin1')),
    seeds: [
      request('GET /v1/inbox/counts', [authorization]),
      request('GET /v1/inbox', [authorization]),
      request(`GET /v1/inbox?limit=5&limitBytes=100&order=newest&sender=7&ack=${page}`, [
        authorization,
      ]),
      request(`GET /v1/inbox?token=${TOKEN_WORD}`),
      request('GET /v1/inbox', [`Authorization: Bearer ${EXPIRED_WORD}`]),
      request('POST /v1/inbox/done', [authorization, `Content-Length: ${body.length}`], body),
      request(
        'POST /v1/inbox/done',
        [authorization, 'Transfer-Encoding: chunked'],
        `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      ),
      request('GET /healthz'),
      request('GET /readyz'),
      request('GET /metrics'),
      request('GET /v1/ws', [
        ...['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
        ...['Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==', 'Sec-WebSocket-Protocol: ackbench.v1'],
        authorization,
      ]),
      Buffer.concat([request('GET /healthz'), request('DELETE /nowhere'), request('GET /readyz')]),
    ],
    mutate: mutateBytes,
    coverage: () => Promise.resolve(server.coverage),
    run: (input) => server.under(() => attack(input)),
    describe: (input) => JSON.stringify(input.toString('latin1')),
    note: () => server.note(),
    close: () => server.stop(),
  };
};
