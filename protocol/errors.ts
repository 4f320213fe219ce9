/**
 * The one registry of what can go wrong: statuses in answers, WebSocket close codes, HTTP error
 * codes and exit codes. docs/ERRORS.md is checked against it in both directions by a test.
 *
 * blame: `local` is the side that reads the code, `remote` the side that sent it.
 * certainty: `definite` means that the request had no effect; an answer that never comes is always
 * `indefinite`, and a message in that state is `unknown`, never `lost`.
 */

export interface ErrorInfo {
  readonly name: string;
  readonly blame: 'local' | 'remote';
  readonly certainty: 'definite' | 'indefinite';
  /** One sentence: what it means and what to do. */
  readonly advice: string;
}

/** Status byte of every A. 0 is ok. */
export const Status = {
  Ok: 0,
  InboxFull: 1,
  TooLarge: 2,
  StoreFailed: 3,
  BadUid: 4,
  BadMsgid: 5,
  BadLimit: 6,
  BadPage: 7,
  Overloaded: 8,
  Draining: 9,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

/** What every status other than ok means to the client that receives it. */
export const STATUS_INFO: Readonly<Record<Exclude<Status, 0>, ErrorInfo>> = {
  [Status.InboxFull]: {
    name: 'inbox-full',
    blame: 'remote',
    certainty: 'definite',
    advice:
      "The receiver's inbox is at its cap in messages or bytes; send again after it was read.",
  },
  [Status.TooLarge]: {
    name: 'too-large',
    blame: 'local',
    certainty: 'definite',
    advice: 'The content exceeds the content limit; split it or raise --max-content-bytes.',
  },
  [Status.StoreFailed]: {
    name: 'store-failed',
    blame: 'remote',
    certainty: 'definite',
    advice: 'The store could not commit or read; nothing was stored. Try again later.',
  },
  [Status.BadUid]: {
    name: 'bad-uid',
    blame: 'local',
    certainty: 'definite',
    advice: 'The uid is 0 or above 2^53 - 1.',
  },
  [Status.BadMsgid]: {
    name: 'bad-msgid',
    blame: 'local',
    certainty: 'definite',
    advice: 'epoch and seq start at 1; 0 names no message.',
  },
  [Status.BadLimit]: {
    name: 'bad-limit',
    blame: 'local',
    certainty: 'definite',
    advice: 'The page limit is 0 or above what the server allows (messages or bytes).',
  },
  [Status.BadPage]: {
    name: 'bad-page',
    blame: 'local',
    certainty: 'definite',
    advice: 'The page token was not made for this user; echo the token of pull:A unchanged.',
  },
  [Status.Overloaded]: {
    name: 'overloaded',
    blame: 'remote',
    certainty: 'definite',
    advice: 'Too many operations wait for the store; send again later.',
  },
  [Status.Draining]: {
    name: 'draining',
    blame: 'remote',
    certainty: 'definite',
    advice: 'The server is shutting down; reconnect and send again.',
  },
};

/** WebSocket close codes. 4000-4499: reconnect; 4500-4999: reconnecting will not help. */
export const CloseCode = {
  Restart: 1012,
  UnsupportedData: 1003,
  SlowConsumer: 4001,
  RateLimit: 4002,
  TokenExpired: 4003,
  BadPacket: 4500,
  WrongDirection: 4501,
  Kicked: 4502,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** What each close code of ours means to the client. */
export const CLOSE_INFO: Readonly<Record<CloseCode, ErrorInfo>> = {
  [CloseCode.Restart]: {
    name: 'service-restart',
    blame: 'remote',
    certainty: 'indefinite',
    advice: 'The server is draining; reconnect with backoff and retransmit what waits for ack:N.',
  },
  [CloseCode.UnsupportedData]: {
    name: 'text-message',
    blame: 'local',
    certainty: 'definite',
    advice: 'Packets travel in binary WebSocket messages; a text message was sent.',
  },
  [CloseCode.SlowConsumer]: {
    name: 'slow-consumer',
    blame: 'local',
    certainty: 'indefinite',
    advice:
      'The client did not read and the outgoing buffer reached its limit; reconnect and pull.',
  },
  [CloseCode.RateLimit]: {
    name: 'rate-limit',
    blame: 'local',
    certainty: 'indefinite',
    advice: 'More packets per second than allowed; reconnect with backoff and retransmit slower.',
  },
  [CloseCode.TokenExpired]: {
    name: 'token-expired',
    blame: 'local',
    certainty: 'indefinite',
    advice: 'The token of this session has expired; reconnect with a fresh one.',
  },
  [CloseCode.BadPacket]: {
    name: 'bad-packet',
    blame: 'local',
    certainty: 'definite',
    advice: 'A packet could not be parsed: unknown type, wrong length or reserved bits set.',
  },
  [CloseCode.WrongDirection]: {
    name: 'wrong-direction',
    blame: 'local',
    certainty: 'definite',
    advice: 'A client sent a packet that only the server sends.',
  },
  [CloseCode.Kicked]: {
    name: 'kicked',
    blame: 'remote',
    certainty: 'indefinite',
    advice: 'A newer session of the same user took over; do not reconnect by yourself.',
  },
};

/** Exit codes of every command. */
export const ExitCode = {
  Pass: 0,
  Failed: 1,
  Usage: 2,
  Invalid: 3,
  Unknown: 4,
  Bug: 70,
  Interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What each exit code says. */
export const EXIT_INFO: Readonly<Record<ExitCode, string>> = {
  [ExitCode.Pass]: 'pass',
  [ExitCode.Failed]:
    'failed: the audit, a threshold or a comparison says no, or the server did not start',
  [ExitCode.Usage]: 'usage: flags, environment or a scenario file are wrong',
  [ExitCode.Invalid]: 'invalid: the measurement cannot be trusted, or the environment is unfit',
  [ExitCode.Unknown]: 'unknown: the run did not reach quiescence, or proved nothing',
  [ExitCode.Bug]: 'bug: a defect of ackbench itself',
  [ExitCode.Interrupted]: 'interrupted: Ctrl-C; what was measured so far is reported',
};

/** Codes in the JSON body of HTTP errors, with their HTTP status. */
export const HTTP_ERROR: Readonly<Record<string, number>> = {
  'bad-request': 400,
  'bad-limit': 400,
  'bad-page': 400,
  'bad-uid': 400,
  'token-missing': 401,
  'token-invalid': 401,
  'token-expired': 401,
  'not-found': 404,
  'too-many-connections': 503,
  draining: 503,
  'store-failed': 503,
  overloaded: 503,
};

/** Name of a status byte, for logs and messages. */
export function statusName(status: number): string {
  if (status === Status.Ok) return 'ok';
  return STATUS_INFO[status as Exclude<Status, 0>]?.name ?? `status ${status}`;
}
