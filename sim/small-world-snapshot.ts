/**
 * Snapshots of machines: a deep copy that keeps prototypes and identity, and a canonical text that
 * two machines share when no input can ever tell them apart.
 *
 * The text leaves out, or makes coarser, what decides nothing; each with its reason:
 * - `free`: entries kept for reuse. `submit` sets every field of an entry that it takes from there.
 * - `interactions`, `creditAtMs`: statistics, and the clock of a rate limit that is switched off.
 * - `submittedAtMs`, `deadlineMs`: the search lets no time pass (every input comes at 0 ms) and fires
 *   timers by hand, so a deadline is only armed (finite) or not.
 * - `lists` with `before` and `after`, `attempts`: a message that waits is in its conversation; its
 *   attempt list decides only when its deadline comes, and here that may be at any moment.
 * - `transmissions`: compared with 0 and 1 only, so 2 stands for more.
 * - `options`, `timeoutsMs`, `messages`, `quietUids` and functions: constants of a run.
 * - `range` of a deletion: the store has found its rows by then, and the gateway does not look at it.
 * Maps and sets are unordered; `Session` is a value, see below. Everything else is kept as it is, so
 * a field that somebody adds to a machine is a part of the state until this file says otherwise.
 */
import { Session } from '../protocol/index.ts';

const LEFT_OUT: ReadonlySet<string> = new Set([
  'free',
  'interactions',
  'creditAtMs',
  'submittedAtMs',
  'options',
  'timeoutsMs',
  'lists',
  'attempts',
  'before',
  'after',
  'messages',
  'quietUids',
  'range',
]);

/**
 * A copy of everything that `root` reaches. Frozen objects and functions are constants and shared;
 * so are bytes, since nobody writes into a content or a token.
 * Cost: O(objects).
 */
export function copyOf<T extends object>(root: T): T {
  return copy(root, new Map()) as T;
}

function copy(value: unknown, done: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Uint8Array) return value;
  const earlier = done.get(value);
  if (earlier !== undefined) return earlier;

  if (Array.isArray(value)) {
    const list: unknown[] = new Array<unknown>(value.length);
    done.set(value, list);
    for (let i = 0; i < value.length; i++) list[i] = copy(value[i], done);
    return list;
  }
  if (value instanceof Map) {
    const map = new Map<unknown, unknown>();
    done.set(value, map);
    for (const [key, item] of value) map.set(copy(key, done), copy(item, done));
    return map;
  }
  if (value instanceof Set) {
    const set = new Set<unknown>();
    done.set(value, set);
    for (const item of value) set.add(copy(item, done));
    return set;
  }
  const twin = Object.create(Object.getPrototypeOf(value) as object | null) as Record<
    string,
    unknown
  >;
  done.set(value, twin);
  for (const key of Object.keys(value)) twin[key] = copy((value as typeof twin)[key], done);
  return twin;
}

/** The canonical text of everything that `root` reaches. Cost: O(objects). */
export function textOf(root: object): string {
  return write(root, new Map());
}

function write(value: unknown, seen: Map<object, number>): string {
  if (typeof value !== 'object' || value === null) return String(value);
  // An open session is the one of its user, a closed one takes no answer any more: which of several
  // closed ones it was cannot matter.
  if (value instanceof Session) return `S${value.uid}${value.open ? '+' : '-'}`;
  if (value instanceof Uint8Array) return `<${value.join(' ')}>`;
  const earlier = seen.get(value);
  if (earlier !== undefined) return `#${earlier}`;
  seen.set(value, seen.size);
  if (Array.isArray(value)) {
    let text = '[';
    for (const item of value) text += write(item, seen) + ',';
    return text + ']';
  }
  if (value instanceof Map) {
    const entries = [...(value as Map<unknown, unknown>)].sort(([a], [b]) =>
      String(a) < String(b) ? -1 : 1,
    );
    let text = 'M{';
    for (const [key, item] of entries) text += `${String(key)}:${write(item, seen)},`;
    return text + '}';
  }
  if (value instanceof Set) return `T{${[...(value as Set<unknown>)].map(String).sort().join()}}`;
  let text = '{';
  for (const key of Object.keys(value)) {
    if (LEFT_OUT.has(key)) continue;
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'function') continue;
    text += `${key}=${fieldText(value, key, item, seen)};`;
  }
  return text + '}';
}

function fieldText(owner: object, key: string, item: unknown, seen: Map<object, number>): string {
  switch (key) {
    case 'deadlineMs':
      return item === Infinity ? 'off' : 'armed';
    case 'transmissions':
      return String(Math.min(item as number, 2));
    case 'request':
      // Nobody is told the number of a request whose session is gone.
      return isOfClosedSession(owner) ? '-' : String(item);
    default:
      return write(item, seen);
  }
}

function isOfClosedSession(owner: object): boolean {
  const { session } = owner as { session?: unknown };
  return session instanceof Session && !session.open;
}
