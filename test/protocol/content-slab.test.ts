/** Copies that share memory: none may ever touch another. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyOf } from '../../protocol/content-slab.ts';

test('a copy keeps its bytes whatever is copied after it', () => {
  const lengths = [0, 1, 40, 128, 4095, 4096, 4097, 70_000];
  const copies: { copy: Uint8Array; fill: number; length: number }[] = [];
  for (let i = 0; i < 500; i++) {
    const length = lengths[i % lengths.length]!;
    const content = new Uint8Array(length).fill(i & 0xff);
    const copy = copyOf(content);
    content.fill(0xee); // as the next packet does to the bytes of this one
    copies.push({ copy, fill: i & 0xff, length });
  }
  for (const { copy, fill, length } of copies) {
    assert.is(copy.length, length);
    assert.ok(copy.every((byte) => byte === fill));
  }
});

test.run();
