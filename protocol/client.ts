/**
 * Client: Sender, Receiver and Puller of one user behind one face, as a driver wants it.
 *
 * It owns no state of its own; it only says which machine a packet is for. A packet that a server
 * never sends is a remote error and is reported to the driver, who closes the connection.
 */
import { type ClientEffects, ClientEffectKind } from './effects.ts';
import { Kind, type Packet } from './packet.ts';
import { Puller, type PullerOptions } from './puller.ts';
import { Receiver } from './receiver.ts';
import { Sender, type SenderOptions } from './sender.ts';

export interface ClientOptions {
  readonly sender: SenderOptions;
  readonly puller: PullerOptions;
}

export class Client {
  readonly sender: Sender;
  readonly receiver = new Receiver();
  readonly puller: Puller;

  constructor(options: ClientOptions) {
    this.sender = new Sender(options.sender);
    this.puller = new Puller(options.puller);
  }

  /** False when the packet is not one that a server sends. */
  onPacket(packet: Packet, nowMs: number, out: ClientEffects): boolean {
    switch (packet.kind) {
      case Kind.MsgN:
        this.receiver.onMsgN(packet, out);
        return true;
      case Kind.AckN:
        this.sender.onAckN(packet, nowMs, out);
        return true;
      case Kind.MsgA:
        this.sender.onMsgA(packet, nowMs, out);
        return true;
      case Kind.AckA:
        return true; // ends the second half; nothing waits for it
      case Kind.PullA:
        if (!this.puller.expects(packet)) return true;
        for (const row of packet.rows) this.receiver.onRow(row, out);
        this.puller.onAnswer(packet, nowMs, out);
        return true;
      case Kind.CountA:
      case Kind.DoneA:
        if (this.puller.expects(packet)) this.puller.onAnswer(packet, nowMs, out);
        return true;
      case Kind.InboxN:
        this.puller.start(nowMs, out);
        return true;
      case Kind.KickN:
        out.push().kind = ClientEffectKind.Kicked;
        return true;
      default:
        return false;
    }
  }

  /** The session is open: waiting messages go out again and the inbox is pulled. */
  onConnect(nowMs: number, out: ClientEffects): void {
    this.sender.onConnect(nowMs, out);
    this.puller.start(nowMs, out);
  }

  onDisconnect(): void {
    this.sender.onDisconnect();
    this.puller.onDisconnect();
  }

  /** The process died and came back with its log: dedupe sets and waiting-ack queue are in it. */
  onCrash(): void {
    this.sender.onDisconnect();
    this.puller.onCrash();
  }

  nextDeadlineMs(): number {
    return Math.min(this.sender.nextDeadlineMs(), this.puller.nextDeadlineMs());
  }

  onDeadline(nowMs: number, out: ClientEffects): void {
    this.sender.onDeadline(nowMs, out);
    this.puller.onDeadline(nowMs, out);
  }
}
