/** Ledger: what both ends write per message, and the audit of a run per conversation. */
import { auditBooks } from '../../loadgen/audit.ts';
import {
  bookOf,
  type BookShelf,
  closeShelves,
  emptyBooks,
  ReceivedBook,
  SentBook,
} from '../../loadgen/ledger.ts';
import type { Benchmark } from './benchmark.ts';

const EPOCH = 77;
const PEERS = 50;
const MESSAGES_PER_PEER = 20;
const MESSAGES = PEERS * MESSAGES_PER_PEER;
const SENDER = 1_000_000;

class Shelves {
  readonly sent: BookShelf<SentBook> = new Map();
  readonly received: BookShelf<ReceivedBook> = new Map();
  attempted = 0;

  constructor() {
    for (let peer = 1; peer <= PEERS; peer++) {
      this.sentBook(peer);
      this.receivedBook(peer);
    }
  }

  /** Every message sent, accepted, confirmed, seen on the wire and delivered once. */
  write(): void {
    const first = this.attempted + 1;
    this.attempted += MESSAGES_PER_PEER;
    for (let seq = first; seq <= this.attempted; seq++) {
      for (let peer = 1; peer <= PEERS; peer++) {
        this.sentBook(peer).attempted++;
        this.sentBook(peer).accepted.add(seq);
        this.receivedBook(peer).onWire(seq);
        this.receivedBook(peer).onDelivered(seq);
        this.sentBook(peer).settle('confirmed', seq);
      }
    }
  }

  private sentBook(peer: number): SentBook {
    return bookOf(this.sent, peer, EPOCH, newSentBook);
  }

  private receivedBook(peer: number): ReceivedBook {
    return bookOf(this.received, peer, EPOCH, newReceivedBook);
  }
}

function newSentBook(epoch: number): SentBook {
  return new SentBook(epoch);
}

function newReceivedBook(epoch: number): ReceivedBook {
  return new ReceivedBook(epoch);
}

export const benchmarks: readonly Benchmark[] = [
  {
    name: 'ledger: write one message',
    operations: MESSAGES,
    prepare: () => {
      const shelves = new Shelves();
      const book = shelves.sent.get(PEERS) as SentBook;
      return {
        expected: MESSAGES_PER_PEER,
        run: () => {
          const before = book.confirmed.size;
          shelves.write();
          return book.confirmed.intervals === 1 ? book.confirmed.size - before : -1;
        },
      };
    },
  },
  {
    name: 'ledger: audit a conversation',
    operations: PEERS,
    warmUpBlocks: 240,
    prepare: () => {
      const shelves = new Shelves();
      shelves.write();
      const nothingSent: BookShelf<SentBook> = new Map();
      const nothingReceived: BookShelf<ReceivedBook> = new Map();
      const receivers = [...shelves.received].map(([peer, book]) => {
        return { peer, received: new Map([[SENDER, book]]) };
      });
      return {
        expected: MESSAGES,
        run: () => {
          const books = emptyBooks();
          closeShelves(SENDER, shelves.sent, nothingReceived, books);
          for (const { peer, received } of receivers) {
            closeShelves(peer, nothingSent, received, books);
          }
          const { ledger } = auditBooks([books]);
          return ledger.lost === 0 && ledger.confirmed === MESSAGES ? ledger.delivered : -1;
        },
      };
    },
  },
];
