/**
 * Planted bugs of client, gateway and store, hunted in simulated worlds (sim/). Each is one edit of
 * the source that runs everywhere else too; the simulator's own drivers are edited where the bug
 * belongs to whoever drives the machines: the log, the socket, the disk.
 */
import type { RunOutcome } from '../../sim/run.ts';
import type { Plan } from '../../sim/plan.ts';
import { type Edit, Edition } from './checker-source.ts';
import type { Mutant } from './mutant.ts';

interface SimRun {
  runPlan(plan: Plan): RunOutcome;
}
interface SimPlan {
  drawPlan(seed: number): Plan;
}

type Planted = readonly [name: string, part: Mutant['part'], edit: Edit];

const GATEWAY = 'protocol/gateway.ts';
const SENDER = 'protocol/sender.ts';
const RECEIVER = 'protocol/receiver.ts';
const PULLER = 'protocol/puller.ts';
const CLIENT = 'protocol/client.ts';
const STORE = 'sim/store.ts';
const PROCESS = 'sim/client-node.ts';
const SERVER = 'sim/server-node.ts';

const gateway = (name: string, find: string, replace: string): Planted => [
  name,
  'gateway',
  { file: GATEWAY, find, replace },
];
const client = (name: string, file: string, find: string, replace: string): Planted => [
  name,
  'client',
  { file, find, replace },
];
const store = (name: string, find: string, replace: string): Planted => [
  name,
  'store',
  { file: STORE, find, replace },
];

const PUT = '    effect.kind = GatewayEffectKind.Put;';
const FORGED =
  'this.answerMsgR(session, uid, epoch, seq, Status.Ok, out);' +
  'this.confirm(session, uid, epoch, seq, Confirmation.Stored, out);';

const PLANTED: readonly Planted[] = [
  gateway(
    'msg:A and ack:N(stored) before the commit',
    `    const effect = out.push();\n${PUT}`,
    `    ${FORGED}\n    const effect = out.push();\n${PUT}`,
  ),
  gateway(
    'ack:N(stored) forged, nothing stored',
    `    const effect = out.push();\n${PUT}`,
    `    ${FORGED}\n    this.pendingCount--;\n    if (session.uid > 0) return;\n    const effect = out.push();\n${PUT}`,
  ),
  gateway(
    'a failed commit taken for done',
    '    const { session, row } = operation;\n',
    '    const { session, row } = operation;\n    status = Status.Ok;\n',
  ),
  gateway(
    'a stored message called failed',
    'this.answerMsgR(session, row.receiver, row.epoch, row.seq, status, out);',
    'this.answerMsgR(session, row.receiver, row.epoch, row.seq, Status.InboxFull, out);',
  ),
  gateway(
    'no inbox:N after a late commit',
    '    if (receiver !== undefined) this.send(receiver, Kind.InboxN, out);\n',
    '',
  ),
  gateway(
    'ack:N(delivered) when the message is pushed',
    '      this.pushMsgN(receiver, session.uid, packet, out);\n      return;',
    '      this.pushMsgN(receiver, session.uid, packet, out);\n      this.confirm(session, uid, epoch, seq, Confirmation.Delivered, out);\n      return;',
  ),
  gateway(
    'ack:N to the acknowledging user',
    '    const sender = this.sessions.get(uid);\n    if (sender !== undefined) {',
    '    const sender = this.sessions.get(session.uid);\n    if (sender !== undefined) {',
  ),
  gateway(
    'no ack:N',
    '      this.confirm(sender, session.uid, epoch, seq, Confirmation.Delivered, out);\n',
    '',
  ),
  gateway(
    'a message pushed to its own sender',
    '      this.pushMsgN(receiver, session.uid, packet, out);\n      return;',
    '      this.pushMsgN(session, session.uid, packet, out);\n      return;',
  ),
  gateway(
    'durable treated as relay',
    'this.isDurable = options.policy === Policy.Durable;',
    'this.isDurable = false;',
  ),
  gateway(
    'a durable row removed when it is pushed',
    '      this.pushMsgN(receiver, session.uid, row, out);\n      return;',
    '      this.pushMsgN(receiver, session.uid, row, out);\n      const gone = out.push();\n      gone.kind = GatewayEffectKind.Remove;\n      gone.receiver = row.receiver;\n      gone.packet.uid = row.sender;\n      gone.packet.epoch = row.epoch;\n      gone.packet.seq = row.seq;\n      return;',
  ),
  gateway(
    'a page deleted when it is sent',
    '    answer.rows = isFilled ? page.rows : [];\n    answer.page = isFilled',
    '    answer.rows = isFilled ? page.rows : [];\n    if (isFilled && this.admit()) {\n      const range = { receiver: operation.session.uid, sender: operation.query.sender, first: page.first, last: page.last };\n      this.deletePage(operation.session, null, range, out);\n    }\n    answer.page = isFilled',
  ),
  gateway('a page token that names one row too many', 'last: page.last,', 'last: page.last + 1,'),
  gateway(
    'a page token that forgets its sender filter',
    '          sender: operation.query.sender,',
    '          sender: 0,',
  ),
  gateway(
    'the newer session forgotten when the older one closes',
    'if (this.sessions.get(session.uid) === session) this.sessions.delete(session.uid);',
    'this.sessions.delete(session.uid);',
  ),
  gateway(
    'operations in flight never counted down',
    '    this.pendingCount--;\n    const { session, row } = operation;',
    '    const { session, row } = operation;',
  ),
  gateway(
    'a clock set back takes credit away',
    'const elapsedMs = Math.max(0, nowMs - session.creditAtMs);',
    'const elapsedMs = nowMs - session.creditAtMs;',
  ),
  [
    'a packet for a slow reader dropped unnoticed',
    'gateway',
    {
      file: SERVER,
      find: '      this.onGone(connection);\n      connection.isDead = true;\n      this.world.closeAtClient(connection);\n      return;',
      replace: '      return;',
    },
  ],
  client(
    'no dedupe',
    RECEIVER,
    'const fresh = this.expect(sender, epoch).setOf(epoch).add(seq);',
    'this.expect(sender, epoch).setOf(epoch).add(seq);\n    const fresh = true;',
  ),
  client(
    'dedupe lost in a crash',
    PROCESS,
    'machine.receiver.expect(entry.from, epoch).setOf(epoch).add(seq);',
    'void [entry.from, epoch, seq];',
  ),
  client(
    'dedupe by a watermark',
    RECEIVER,
    'const fresh = this.expect(sender, epoch).setOf(epoch).add(seq);',
    'const set = this.expect(sender, epoch).setOf(epoch);\n    const fresh = seq > set.max && set.add(seq);',
  ),
  client(
    'no ack:R for a repeat',
    RECEIVER,
    '    this.take(uid, epoch, seq, packet.msgType, packet.content, false, out);\n',
    '    const isRepeat = this.has(uid, epoch, seq);\n    this.take(uid, epoch, seq, packet.msgType, packet.content, false, out);\n    if (isRepeat) return;\n',
  ),
  client(
    'ack:R without delivering',
    RECEIVER,
    '    this.take(uid, epoch, seq, packet.msgType, packet.content, false, out);\n',
    '',
  ),
  client(
    'ack:R before the log is safe',
    PROCESS,
    'if (this.journal.length === this.safeEntries && this.held.length === 0) {',
    'if (this.held.length === 0) {',
  ),
  client(
    'a retransmission with a new msgid',
    SENDER,
    '      packet.seq = entry.seq;\n      packet.msgType',
    '      packet.seq = entry.seq + 1000 * entry.transmissions;\n      packet.msgType',
  ),
  client(
    'msgids used again after a crash',
    PROCESS,
    '        machine.sender.resumeAfter(to, seq);\n',
    '',
  ),
  client(
    'the waiting-ack queue lost in a crash',
    PROCESS,
    '      machine.sender.resume(to, seq, message, nowMs, this.out);\n',
    '      void [message, nowMs, index];\n',
  ),
  client(
    'no retransmission',
    SENDER,
    '        this.retransmit(list.head, nowMs, out);',
    '        const late = list.head;\n        late.deadlineMs = Infinity;\n        list.remove(late);\n        list.append(late);\n        void out;',
  ),
  client(
    'nothing sent again after a reconnect',
    SENDER,
    '      this.transmit(entry, nowMs, out);\n    }\n  }\n\n  /** The session is gone',
    '      entry.deadlineMs = Infinity;\n      this.listOf(entry).append(entry);\n      void out;\n    }\n  }\n\n  /** The session is gone',
  ),
  client(
    'msg:A taken for delivery',
    SENDER,
    '        this.tell(ClientEffectKind.Accepted, entry, out);\n',
    '        this.tell(ClientEffectKind.Accepted, entry, out);\n        this.settle(entry, Outcome.Delivered, Status.Ok, nowMs, out);\n',
  ),
  client(
    'an ack:N for another conversation accepted',
    SENDER,
    '    return this.conversations?.get(packet.uid)?.find(packet.seq);',
    '    for (const one of this.conversations?.values() ?? []) {\n      const entry = one.find(packet.seq);\n      if (entry !== undefined) return entry;\n    }\n    return undefined;',
  ),
  client(
    'the error to a retransmission taken for the message’s own',
    SENDER,
    'if (entry.transmissions === 1 && !entry.accepted) {',
    'if (!entry.accepted) {',
  ),
  client(
    'a page acknowledged before its rows are delivered',
    CLIENT,
    '        for (const row of packet.rows) this.receiver.onRow(row, out);\n        this.puller.onAnswer(packet, nowMs, out);',
    '        this.puller.onAnswer(packet, nowMs, out);\n        for (const row of packet.rows) this.receiver.onRow(row, out);',
  ),
  client(
    'an inbox:N during a pull forgotten',
    PULLER,
    '      this.again = true;\n      return;',
    '      return;',
  ),
  client(
    'a pull that is never asked again',
    PULLER,
    '    if (nowMs < this.deadlineMs) return;\n    this.write(nowMs, out);',
    '    if (nowMs < this.deadlineMs) return;\n    this.deadlineMs = Infinity;\n    void out;',
  ),
  client(
    'a pull ended after its first page',
    PULLER,
    'this.pageHadMore = packet.more;',
    'this.pageHadMore = false;',
  ),
  store(
    'an answer before the sync',
    '      this.isWritten = true;\n',
    '      this.isWritten = true;\n      for (const write of batch) write.done(Status.Ok);\n',
  ),
  store(
    'ok although the sync failed',
    'const status = isSynced ? write.status : Status.StoreFailed;',
    'const status = write.status;',
  ),
  store(
    'a deletion of one row too many',
    'row.position <= range.last,',
    'row.position <= range.last + 1,',
  ),
  store('a deletion without a lower end', '        row.position >= range.first &&\n', ''),
  store(
    'a deletion that ignores the sender filter',
    '        (range.sender === 0 || range.sender === row.sender) &&\n        row.position',
    '        row.position',
  ),
  store(
    'a deletion in everybody’s inboxes',
    '        row.receiver === range.receiver &&\n        (range.sender',
    '        (range.sender',
  ),
  store(
    'positions given again after a crash',
    '    this.underWay = null;\n    this.waiting = [];\n    this.isWritten = this.isBroken',
    '    this.lastPosition = 0;\n    this.underWay = null;\n    this.waiting = [];\n    this.isWritten = this.isBroken',
  ),
  store(
    'a row lost in a crash',
    '    for (const row of this.rows) row.deletions = 0;\n',
    '    for (const row of this.rows) row.deletions = 0;\n    this.rows.pop();\n',
  ),
  store(
    'rows that are never deleted',
    '      this.rows = this.rows.filter((row) => !deleted.includes(row));\n',
    '',
  ),
  store(
    'a row hidden for ever when its deletion fails',
    '    for (const row of write.deleted) row.deletions--;\n',
    '    void write;\n',
  ),
];

/** Runs seeds in worlds that are built from the edited source. */
async function mutantOf([name, part, edit]: Planted): Promise<Mutant> {
  const edition = new Edition([edit]);
  const { runPlan } = await edition.load<SimRun>('sim/run.ts');
  const { drawPlan } = await edition.load<SimPlan>('sim/plan.ts');
  return {
    name,
    part,
    hunt: (seed) => runPlan(drawPlan(seed)).violations[0]?.check ?? null,
  };
}

export function loadProtocolMutants(): Promise<Mutant[]> {
  return Promise.all(PLANTED.map(mutantOf));
}
