/**
 * A proxy between real clients and a real server that knows where packets begin and end, and does to
 * them what bad networks do.
 *
 *     client ═══> lane up   [ drop duplicate delay reorder truncate ] ═══> server
 *            <═══ lane down [ … ]                                     <═══
 *     and to whole links: reset, tear, go half-open, leave a ghost, stall, throttle
 *
 * The upgrade passes untouched; so do pings, pongs, closes, fragments and everything that is no
 * WebSocket. What is known of a packet is its first byte. Every fault that was done is counted.
 *
 * Bounds: a lane whose receiver does not read stops reading its sender at `UNSENT_MAX_BYTES`; held
 * packets take at most `HELD_MAX_BYTES` together, beyond that they pass at once; a connection beyond
 * `LINKS_MAX` is refused.
 */
import { createServer, type Server, type Socket } from 'node:net';
import {
  type FaultCounts,
  FaultPlan,
  KIND_NAME,
  KINDS,
  type LinkFaults,
  Random,
} from '../loadgen/index.ts';
import {
  type Endpoint,
  Link,
  LINK_ACTIONS,
  type LinkAction,
  type LinkHit,
  type LinkOwner,
  Pen,
} from './frame-proxy-link.ts';

const LINKS_MAX = 100_000;
const READ_BYTES = 65_536;

export interface FrameProxyOptions {
  readonly upstream: Endpoint;
  readonly packets: LinkFaults;
  readonly seed: number;
}

/** What went through and what was done, from the start. Counts. */
export interface FrameProxyStats {
  /** Connections of clients; those whose server could not be reached; open now. */
  connections: number;
  refused: number;
  open: number;
  /** Packets that came, by name, both directions. */
  packets: Record<string, number>;
  faults: FaultCounts;
  /** How often each rule was kept, in the order of the rules. */
  ruleHits: number[];
  /** Links hit, by action. */
  links: Record<LinkAction, number>;
  /** Frames that a half-open link swallowed. */
  swallowed: number;
  /** Data frames that are no whole packet, or of no known kind: passed untouched. */
  untouched: number;
  /** Packets that were to be held, but passed because the bound was reached. */
  unheld: number;
  heldPeakBytes: number;
  /** Most that ever waited for one receiver who did not read. */
  unsentPeakBytes: number;
}

export class FrameProxy implements LinkOwner {
  readonly plan: FaultPlan;
  readonly random: Random;
  readonly readBytes = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly packets = new Float64Array(Math.max(...KINDS) + 1);
  readonly pen = new Pen();
  heldBytes = 0;
  heldPeakBytes = 0;
  unsentPeakBytes = 0;
  unheld = 0;
  swallowed = 0;
  untouched = 0;
  refused = 0;
  private connections = 0;
  private readonly options: FrameProxyOptions;
  private readonly links = new Set<Link>();
  private readonly hits = Object.fromEntries(LINK_ACTIONS.map((action) => [action, 0])) as Record<
    LinkAction,
    number
  >;
  private readonly server: Server;

  /** Faults begin with `arm`. */
  constructor(options: FrameProxyOptions) {
    this.options = options;
    this.random = new Random(options.seed, 'frame proxy links');
    this.plan = new FaultPlan(options.packets, new Random(options.seed, 'frame proxy packets'));
    this.plan.active = false;
    this.server = createServer(
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
      (client) => this.accept(client),
    );
  }

  /** Listens on a free port of the loopback and resolves with it. */
  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(0, '127.0.0.1', 4096, () => {
        this.server.off('error', reject);
        resolve((this.server.address() as { port: number }).port);
      });
    });
  }

  /** Packets are hit from now on. */
  arm(): void {
    this.plan.active = true;
  }

  /** Ends every fault: links that are half-open are reset, all others work again. */
  calm(): void {
    this.plan.active = false;
    for (const link of this.links) link.calm();
  }

  /** Does it to a share of the links that are open; returns to how many. */
  hit(order: LinkHit): number {
    const open = [...this.links].filter(({ isHittable }) => isHittable);
    let chosen = open.filter(() => this.random.chance(order.share));
    if (chosen.length === 0 && open.length > 0) {
      chosen = [open[this.random.below(open.length)] as Link];
    }
    for (const link of chosen) link.hit(order);
    return chosen.length;
  }

  stats(): FrameProxyStats {
    const { heldPeakBytes, options, plan, refused, swallowed, unheld, untouched } = this;
    const named = KINDS.map((kind) => [KIND_NAME[kind], this.packets[kind] as number] as const);
    return {
      connections: this.connections,
      refused,
      open: this.links.size,
      packets: Object.fromEntries(named),
      faults: plan.counts(),
      ruleHits: (options.packets.rules ?? []).map(({ packet, nth }) => plan.ruleHits(packet, nth)),
      links: { ...this.hits },
      swallowed,
      untouched,
      unheld,
      heldPeakBytes,
      unsentPeakBytes: this.unsentPeakBytes,
    };
  }

  /** Ends all connections; resolves when the port is free. */
  close(): Promise<void> {
    for (const link of this.links) link.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  onLinkGone(link: Link): void {
    this.links.delete(link);
  }

  /** Only faults that really happened count; a tear happens with the packet that it cuts. */
  onHit(action: LinkAction): void {
    this.hits[action]++;
  }

  private accept(client: Socket): void {
    this.connections++;
    if (this.links.size >= LINKS_MAX) {
      this.refused++;
      client.resetAndDestroy();
      return;
    }
    this.links.add(new Link(this, client, this.options.upstream));
  }
}
