/** What a World knows of one user: the device with its machine and log, and its connections. */
import {
  type Client,
  type ClientEffects,
  createClientEffects,
  type Gateway,
  type Session,
} from '../../protocol/index.ts';
import type { Log } from './audit.ts';

/** One connection. The two ends learn of its end at different times. */
export class Connection {
  readonly user: User;
  session: Session<Connection> | null = null;
  /** The server process that has the session. */
  gateway: Gateway<Connection> | null = null;
  /** The upgrade was answered; the client's machine knows. */
  established = false;
  /** Nothing gets through any more, though both ends think that it is open. */
  dead = false;
  /** The client hung up, but what it had sent before still arrives. */
  lingers = false;
  /** Earliest arrival that keeps the order, per direction. */
  nextToServerMs = 0;
  nextToClientMs = 0;

  constructor(user: User) {
    this.user = user;
  }
}

/** One user's device: the machine, its application's log, its connection. */
export class User {
  readonly uid: number;
  readonly machine: Client;
  readonly log: Log = new Map();
  readonly out: ClientEffects = createClientEffects();
  connection: Connection | null = null;
  wantsOnline = false;
  wakeAtMs = Infinity;
  /** Rows that came in pages, pulls that ended, repeats that dedupe absorbed. */
  rowsPaged = 0;
  drained = 0;
  absorbed = 0;

  constructor(uid: number, machine: Client) {
    this.uid = uid;
    this.machine = machine;
  }
}
