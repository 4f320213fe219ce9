/**
 * ServerPart: the Gateway with its store, driven input by input.
 *
 * Some answers of the store are given at once, in the same step, because nobody could tell:
 * - to a session that is closed, unless it is a put (whose message may still need an inbox:N);
 * - to a request that is stale: the client drops it;
 * - ok to a deletion that rode on a pull: the gateway says nothing then;
 * - ok to a deletion of no rows at all, of which nobody hears, which is not even queued;
 * - to users whom nobody writes to (`quietUids`): their inbox stays empty, so their pulls neither
 *   see nor change anything that others do.
 */
import {
  assert,
  createGatewayEffects,
  type DeleteOperation,
  type Gateway,
  type GatewayEffect,
  GatewayEffectKind,
  type GatewayEffects,
  Kind,
  never,
  Packet,
  type Session,
  Status,
} from '../protocol/index.ts';
import type { SmallWorldOptions } from './small-world-options.ts';
import { STALE_REQUEST } from './small-world-packets.ts';
import { textOf } from './small-world-snapshot.ts';
import type { ServerInput } from './small-world-steps.ts';
import type { SmallStore, StoreAnswer } from './small-world-store.ts';

const NOW_MS = 0;

/** What one input made the server do. */
export interface ServerOutput {
  readonly packets: { readonly uid: number; readonly packet: Packet }[];
  /** Users whose current connection the server closed. */
  readonly closed: number[];
}

const out: GatewayEffects<number> = createGatewayEffects<number>();

function present<T>(value: T | null): T {
  assert(value !== null, 'the effect carries its operation');
  return value;
}

export class ServerPart {
  readonly store: SmallStore;
  private gateway: Gateway<number>;
  private readonly sessions = new Map<number, Session<number>>();
  private readonly makeGateway: () => Gateway<number>;
  private readonly quietUids: ReadonlySet<number>;

  constructor(options: SmallWorldOptions) {
    const gatewayOptions = Object.freeze({
      policy: options.policy,
      contentMaxBytes: 1000,
      pageMaxMessages: 100,
      pageMaxBytes: 1000,
      packetsPerSec: 0,
      packetsBurst: 0,
      pendingMax: 1000,
    });
    this.makeGateway = () => options.makeGateway(gatewayOptions);
    this.gateway = this.makeGateway();
    this.store = options.makeStore();
    const all = Array.from({ length: options.users }, (_, i) => i + 1);
    const isQuiet = (uid: number) => !options.messages.some(({ to }) => to === uid);
    this.quietUids = Object.freeze(new Set(all.filter(isQuiet)));
  }

  /** One input, and what it made the server do. */
  feed(input: ServerInput<Packet>): ServerOutput {
    switch (input.kind) {
      case 'open':
        this.sessions.set(input.uid, this.gateway.onOpen(input.uid, input.uid, NOW_MS, out));
        break;
      case 'close':
        this.gateway.onClose(this.sessionOf(input.uid));
        this.sessions.delete(input.uid);
        break;
      case 'packet':
        this.gateway.onPacket(this.sessionOf(input.uid), input.packet, NOW_MS, out);
        break;
      case 'age':
        this.age(input.uid);
        break;
      case 'commit':
        this.store.commit(input.succeeds);
        break;
      case 'answer':
        this.tell(input.index);
        break;
      case 'crash': // kill -9, and back again: sessions and everything uncommitted are gone
        this.store.crash();
        this.gateway = this.makeGateway();
        this.sessions.clear();
        break;
      default:
        never(input, 'input of the server');
    }
    return this.drain();
  }

  /** Messages with a committed row, as a mask; -1 when a row is not where it belongs. */
  storedMask(messages: SmallWorldOptions['messages']): number {
    let mask = 0;
    for (const { receiver, sender, content } of this.store.rows) {
      const index = content[0] ?? -1;
      const message = messages[index];
      if (message === undefined || message.to !== receiver || message.from !== sender) return -1;
      mask |= 1 << index;
    }
    return mask;
  }

  text(): string {
    return textOf(this);
  }

  private sessionOf(uid: number): Session<number> {
    const session = this.sessions.get(uid);
    assert(session !== undefined, 'the user has a session');
    return session;
  }

  /** Requests of `uid` under way are stale now; see `UserPart.renameRequests`. */
  private age(uid: number): void {
    for (const pending of [...this.store.writes, ...this.store.answers]) {
      const { operation } = pending;
      if (operation === null || pending.kind === 'put') continue;
      const isMine = operation.session.uid === uid && operation.session.open;
      if (!isMine || !('request' in operation) || !operation.request) continue;
      (operation as { request: number | null }).request = STALE_REQUEST;
    }
  }

  private drain(): ServerOutput {
    const output: ServerOutput = { packets: [], closed: [] };
    this.perform(output);
    this.store.skipEmptyDeletions((operation) => isSilent(operation));
    for (;;) {
      const index = this.store.answers.findIndex((answer) => this.isAnsweredAtOnce(answer));
      if (index < 0) break;
      this.tell(index);
      this.perform(output);
    }
    this.sortAnswers();
    return output;
  }

  private isAnsweredAtOnce(answer: StoreAnswer): boolean {
    const { session } = answer.operation;
    if (this.quietUids.has(session.uid) && answer.kind !== 'put') return true;
    if (answer.kind === 'put') return false;
    if (!session.open || answer.operation.request === STALE_REQUEST) return true;
    return (
      answer.kind === 'deletion' && answer.operation.request === null && answer.status === Status.Ok
    );
  }

  private tell(index: number): void {
    const [answer] = this.store.answers.splice(index, 1);
    assert(answer !== undefined, 'there is such an answer');
    switch (answer.kind) {
      case 'put':
        this.gateway.onPut(answer.operation, answer.status, out);
        return;
      case 'page':
        this.gateway.onPage(answer.operation, answer.status, answer.page, out);
        return;
      case 'counts':
        this.gateway.onCounts(answer.operation, answer.status, answer.counts, out);
        return;
      case 'deletion':
        this.gateway.onDeleted(answer.operation, answer.status, out);
        return;
      default:
        never(answer, 'answer');
    }
  }

  private perform(output: ServerOutput): void {
    for (let i = 0; i < out.length; i++) this.performOne(out.at(i), output);
    out.clear();
  }

  private performOne(effect: GatewayEffect<number>, output: ServerOutput): void {
    switch (effect.kind) {
      case GatewayEffectKind.Send: {
        const session = present(effect.session);
        // Only the newest connection of a user has somebody at its other end.
        if (this.sessions.get(session.handle) !== session) return;
        const packet = Object.assign(new Packet(), effect.packet);
        if (packet.kind === Kind.PullA) packet.rows = packet.rows.map((row) => ({ ...row }));
        output.packets.push({ uid: session.handle, packet });
        return;
      }
      case GatewayEffectKind.Close: {
        const session = present(effect.session);
        if (this.sessions.get(session.handle) !== session) return;
        this.sessions.delete(session.handle);
        output.closed.push(session.handle);
        return;
      }
      case GatewayEffectKind.Put:
        this.store.put(present(effect.put));
        return;
      case GatewayEffectKind.Page:
        this.store.page(present(effect.page));
        return;
      case GatewayEffectKind.Counts:
        this.store.counts(present(effect.counts));
        return;
      case GatewayEffectKind.DeletePage:
        this.store.deletePage(present(effect.deletion));
        return;
      case GatewayEffectKind.Remove: {
        const { uid: sender, epoch, seq } = effect.packet;
        this.store.remove({ receiver: effect.receiver, sender, epoch, seq });
        return;
      }
      default:
        never(effect.kind, 'gateway effect');
    }
  }

  /** Answers may come in any order, so their order is no state. Newer requests sort last. */
  private sortAnswers(): void {
    const { answers } = this.store;
    if (answers.length < 2) return;
    const keyed = answers.map((answer) => {
      const { operation } = answer;
      const request = 'request' in operation ? (operation.request ?? 0) : 0;
      const bare =
        'request' in operation ? { ...answer, operation: { ...operation, request: 0 } } : answer;
      return { answer, key: textOf(bare), request };
    });
    keyed.sort((a, b) => (a.key === b.key ? a.request - b.request : a.key < b.key ? -1 : 1));
    this.store.answers = keyed.map(({ answer }) => answer);
  }
}

/** True when nobody hears that the deletion was carried out. */
function isSilent({ session, request }: DeleteOperation<number>): boolean {
  return !session.open || request === null || request === STALE_REQUEST;
}
