/** A packet that a client's faulty link holds back, as a timer of the wheel. */
import type { ClientSocket } from './socket.ts';
import { Timer } from './timing-wheel.ts';
import type { VirtualClient } from './virtual-client.ts';

export class HeldPacket extends Timer {
  private readonly client: VirtualClient;
  private readonly socket: ClientSocket;
  private readonly bytes: Uint8Array<ArrayBuffer>;
  private readonly isIncoming: boolean;

  constructor(
    client: VirtualClient,
    socket: ClientSocket,
    bytes: Uint8Array<ArrayBuffer>,
    isIncoming: boolean,
  ) {
    super();
    this.client = client;
    this.socket = socket;
    this.bytes = bytes;
    this.isIncoming = isIncoming;
  }

  override onTimer(nowMs: number): void {
    this.client.onHeld(this.socket, this.bytes, this.isIncoming, nowMs);
  }
}
