/**
 * Message traces: who wrote to whom and when. Reads `sender receiver unix_seconds` lines (plain or
 * .gz, the format of SNAP's temporal networks) and squeezes them into the time of a run; makes a
 * small synthetic one of the same shape when there is no file.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { Random, type TraceLoad } from '../loadgen/index.ts';

export interface Trace {
  /** People by index; their names in the file. */
  people: number;
  load: TraceLoad;
  /** Where it comes from, for the report. */
  origin: string;
}

/** Share of the run that the trace takes; the rest lets its last messages leave in time. */
const TRACE_SHARE = 0.95;

interface Event {
  sender: number;
  receiver: number;
  atS: number;
}

/** Reads a file. Throws a sentence with the line number for a malformed line. */
export function readTrace(
  file: string,
  options: { messages: number; durationMs: number; lingerMs: number },
): Trace {
  const raw = readFileSync(file);
  const text = (file.endsWith('.gz') ? gunzipSync(raw) : raw).toString('latin1');
  const events: Event[] = [];
  let lineNumber = 0;
  for (const line of text.split('\n')) {
    lineNumber++;
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(\d+)\s+(\d+)\s+(\d+)\s*$/.exec(line);
    if (match === null) {
      throw new Error(`${file}:${lineNumber}: expected "sender receiver unix_seconds"`);
    }
    const [sender, receiver, atS] = match.slice(1).map(Number) as [number, number, number];
    if (sender !== receiver) events.push({ sender, receiver, atS });
  }
  if (events.length === 0) throw new Error(`${file}: holds no message`);
  events.sort((a, b) => a.atS - b.atS);
  return squeeze(events.slice(0, options.messages), options, file);
}

/**
 * A synthetic trace with the shape of a real one: few people write much and many write little, pairs
 * talk in bursts with an answer now and then, and there are long silences between bursts.
 */
export function syntheticTrace(
  seed: number,
  options: { messages: number; durationMs: number; lingerMs: number },
): Trace {
  const random = new Random(seed, 'synthetic trace');
  const people = Math.max(20, Math.round(options.messages / 30));
  const events: Event[] = [];
  const heavyTailed = (): number => Math.floor(people * random.unit() ** 2.5);
  const days = 30;
  while (events.length < options.messages) {
    const a = heavyTailed();
    const b = (a + 1 + Math.floor((people - 1) * random.unit())) % people;
    let atS = random.unit() * days * 86_400;
    let isFromA = true;
    do {
      events.push(isFromA ? { sender: a, receiver: b, atS } : { sender: b, receiver: a, atS });
      atS += random.exponential(60);
      if (random.chance(0.4)) isFromA = !isFromA;
    } while (random.chance(0.85) && events.length < options.messages);
  }
  events.sort((x, y) => x.atS - y.atS);
  return squeeze(events, options, 'synthetic (no trace file was given)');
}

function squeeze(
  events: readonly Event[],
  options: { durationMs: number; lingerMs: number },
  origin: string,
): Trace {
  const indexOf = new Map<number, number>();
  const index = (person: number): number => {
    const known = indexOf.get(person);
    if (known !== undefined) return known;
    indexOf.set(person, indexOf.size);
    return indexOf.size - 1;
  };
  const firstS = events[0]!.atS;
  const spanS = Math.max(1, events[events.length - 1]!.atS - firstS);
  const atUs = new Float64Array(events.length);
  const sender = new Uint32Array(events.length);
  const receiver = new Uint32Array(events.length);
  for (const [i, event] of events.entries()) {
    atUs[i] = ((event.atS - firstS) / spanS) * TRACE_SHARE * options.durationMs * 1000;
    sender[i] = index(event.sender);
    receiver[i] = index(event.receiver);
  }
  return {
    people: indexOf.size,
    load: { mode: 'trace', atUs, sender, receiver, lingerMs: options.lingerMs },
    origin: `${origin}: ${events.length} messages, ${indexOf.size} people, sped up ${Math.round(
      spanS / (options.durationMs / 1000),
    )} times`,
  };
}
