/**
 * Copies of contents on their way to the store, cut one behind the other from slabs. A buffer of its
 * own for each would cost more than the copy: the runtime allocates, counts and frees it apart from
 * its heap. A place is written once and never again, so copies do not change; a slab lives as long as
 * the longest-lived copy in it.
 */

const SLAB_BYTES = 65_536;
/** Longer contents have a buffer of their own, and waste no slab. */
const SHARED_BYTES_MAX = 4096;

let slab = new Uint8Array(0);
let used = 0;

/** A copy that shares its memory with others. */
export function copyOf(content: Uint8Array): Uint8Array {
  const { length } = content;
  if (length > SHARED_BYTES_MAX) return new Uint8Array(content);
  if (used + length > slab.length) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  const copy = slab.subarray(used, used + length);
  copy.set(content);
  used += length;
  return copy;
}
