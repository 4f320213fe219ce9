/**
 * Users of a server whose disk is about to fail: one sender, some receivers who are offline, and one
 * who is online but slow. Messages of all sizes (rows inside a page and rows with pages of their
 * own), pages pulled and deleted meanwhile, so that the database reuses pages. Everything that the
 * server promises goes into the book.
 */
import type { Random } from '../../sim/random.ts';
import { ackR, msgR, STATUS, type Stranger } from '../support/stranger.ts';
import {
  digestOf,
  type FoundRow,
  type InboxBook,
  OFFLINE,
  ONLINE,
  RECEIVERS,
} from './inbox-book.ts';
import type { Victim } from './victim.ts';

const SENDER = 1001;
const WINDOW = 48;
/** Without any answer; generous, machines are slow. */
const PATIENCE_MS = 20_000;
const DELETION_PAUSE_MS = 10;
/** A refused message is followed by another one after so long. */
const REFUSED_PAUSE_MS = 20;

export interface Place {
  place(): number;
}

/** What the server answered to msg:R, by status; stored, delivered by ack:N. */
export interface Answers {
  stored: number;
  delivered: number;
  readonly refused: Map<number, number>;
}

/** The server is gone, or silent for `PATIENCE_MS`. */
export class Stalled extends Error {
  override readonly name = 'Stalled';
}

export class Workload {
  readonly answers: Answers = { stored: 0, delivered: 0, refused: new Map() };
  private readonly victim: Victim;
  private readonly book: InboxBook;
  private readonly disk: Place;
  private readonly random: Random;
  private readonly isDurable: boolean;
  private readonly seqs: Map<number, number>;
  private sender: Stranger | null = null;
  private online: Stranger | null = null;
  private isStopped = false;
  /** No new messages yet. */
  private isRepeating = false;
  private deletions: Promise<void> = Promise.resolve();
  private onAnswer: () => void = () => {};

  /** `seqs` holds the last seq per receiver and outlives the workload: a seq is used once. */
  constructor(options: {
    readonly victim: Victim;
    readonly book: InboxBook;
    readonly disk: Place;
    readonly random: Random;
    readonly policy: 'relay' | 'durable';
    readonly seqs: Map<number, number>;
  }) {
    this.victim = options.victim;
    this.book = options.book;
    this.disk = options.disk;
    this.random = options.random;
    this.isDurable = options.policy === 'durable';
    this.seqs = options.seqs;
  }

  async start(): Promise<void> {
    this.online = await this.victim.connect(ONLINE);
    const online = this.online;
    online.onPacket = (packet) => {
      online.unread.length = 0;
      if (packet.name !== 'msg:N' || packet.seq % 3 !== 0) return;
      // Under the durable policy this deletes the row.
      if (this.isDurable) this.book.mayGo(ONLINE, packet.seq, this.disk.place());
      online.send(ackR({ sender: packet.uid, epoch: packet.epoch, seq: packet.seq }));
    };
    this.sender = await this.victim.connect(SENDER);
    this.sender.onPacket = (packet) => {
      this.sender!.unread.length = 0;
      if (packet.name === 'msg:A') this.onMsgA(Number(packet.uid), packet.seq, packet.status);
      if (packet.name === 'ack:N') {
        this.onAckN(Number(packet.uid), packet.seq, packet.confirmation);
      }
    };
    await this.sendAgain();
    for (let i = 0; i < WINDOW; i++) this.sendNext();
    this.deletions = this.deleteSome();
  }

  /**
   * What the last server left open, until all of it is answered: a server that finds such a row
   * answers stored without a commit of its own, so the row must be durable already.
   */
  private async sendAgain(): Promise<void> {
    const open = this.book.unsettled.filter(({ receiver }) => receiver !== ONLINE);
    for (const { receiver, seq, content } of open) {
      const flags = 1; // retransmission
      this.sender?.send(msgR({ receiver, seq, flags, content }));
    }
    this.isRepeating = true;
    await this.until(({ stored, refused }) => stored + sum(refused) >= open.length);
    this.isRepeating = false;
  }

  /** Resolves when `isEnough` holds; looked at with every answer. Rejects with `Stalled`. */
  until(isEnough: (answers: Answers) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const give = (why: string): void => {
        clearTimeout(patience);
        reject(new Stalled(why));
      };
      const patience = setTimeout(() => give('the server answers nothing any more'), PATIENCE_MS);
      void this.sender?.closed.then(() => give('the server closed the connection'));
      this.onAnswer = () => {
        if (!isEnough(this.answers)) return void patience.refresh();
        clearTimeout(patience);
        resolve();
      };
      this.onAnswer();
    });
  }

  /** Sends no more, and resolves when nothing is on its way to a server that is gone. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.deletions;
    this.sender?.ws.terminate();
    this.online?.ws.terminate();
  }

  private sendNext(): void {
    if (this.isStopped || this.isRepeating || this.sender === null) return;
    if (this.sender.ws.readyState !== this.sender.ws.OPEN) return;
    const receiver = this.random.chance(0.1)
      ? ONLINE
      : (OFFLINE[this.random.int(0, OFFLINE.length - 1)] as number);
    const seq = (this.seqs.get(receiver) ?? 0) + 1;
    this.seqs.set(receiver, seq);
    const size = this.random.chance(0.1) ? this.random.int(2000, 9000) : this.random.int(0, 200);
    const content = Buffer.alloc(size, `${receiver}/${seq};`);
    this.book.send(receiver, seq, content);
    this.sender.send(msgR({ receiver, seq, content }));
  }

  private onMsgA(receiver: number, seq: number, status: number): void {
    if (status === STATUS.ok) {
      // Durable: committed before msg:A. Relay: a message to somebody online is not stored.
      if (this.isDurable) this.book.stored(receiver, seq, this.disk.place());
      if (receiver === ONLINE) this.sendNext();
    } else {
      const { refused } = this.answers;
      refused.set(status, (refused.get(status) ?? 0) + 1);
      setTimeout(() => this.sendNext(), REFUSED_PAUSE_MS);
    }
    this.onAnswer();
  }

  private onAckN(receiver: number, seq: number, confirmation: string): void {
    if (confirmation === 'stored') {
      this.book.stored(receiver, seq, this.disk.place());
      this.answers.stored++;
      this.sendNext();
    } else this.answers.delivered++;
    this.onAnswer();
  }

  /** Pulls a page of somebody and deletes it, again and again, until the server is gone. */
  private async deleteSome(): Promise<void> {
    while (!this.isStopped) {
      const receiver = OFFLINE[this.random.int(0, OFFLINE.length - 1)] as number;
      const order = this.random.chance(0.5) ? 'oldest' : 'newest';
      const limit = this.random.int(1, 12);
      await new Promise((resolve) => setTimeout(resolve, DELETION_PAUSE_MS));
      try {
        const { rows, page } = await pull(this.victim, receiver, `limit=${limit}&order=${order}`);
        if (rows.length === 0) continue;
        const before = this.disk.place();
        for (const { seq } of rows) this.book.mayGo(receiver, seq, before);
        const { status } = await this.victim.ask(receiver, '/v1/inbox/done', { ack: page });
        if (status !== 200) continue;
        const after = this.disk.place();
        for (const { seq } of rows) this.book.gone(receiver, seq, after);
      } catch {
        // Refused, or killed: a test looks at that elsewhere.
        await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
      }
    }
  }
}

function sum(counts: ReadonlyMap<number, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}

interface PulledPage {
  readonly rows: readonly FoundRow[];
  readonly page: string;
  readonly more: boolean;
}

/** Throws on any other status than 200. */
async function pull(victim: Victim, receiver: number, query: string): Promise<PulledPage> {
  const { status, body } = await victim.ask(receiver, `/v1/inbox?${query}`);
  if (status !== 200) throw new Error(`the pull was answered ${status}: ${body}`);
  const answer = JSON.parse(body) as {
    rows: { sender: number; seq: number; content: string }[];
    page: string;
    more: boolean;
  };
  const rows = answer.rows.map(({ sender, seq, content }) => {
    return { receiver, sender, seq, digest: digestOf(Buffer.from(content, 'base64')) };
  });
  return { rows, page: answer.page, more: answer.more };
}

/** Every row of every inbox, over the wire; deletes nothing. */
export async function pullEverything(victim: Victim): Promise<FoundRow[]> {
  const found: FoundRow[] = [];
  for (const receiver of RECEIVERS) {
    // One page: without an acknowledgement the next pull would begin at the oldest row again.
    const { rows, more } = await pull(victim, receiver, 'limit=1000&limitBytes=1048576');
    if (more) throw new Error(`the inbox of ${receiver} is larger than a page`);
    found.push(...rows);
  }
  return found;
}
