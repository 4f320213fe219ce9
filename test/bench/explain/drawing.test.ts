/** The sequence diagram of a message: whole XML, an arrow per packet, a cross per loss, text escaped. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drawStory } from '../../../bench/explain/drawing.ts';
import { type Story, tellStory } from '../../../bench/explain/story.ts';
import {
  lost,
  type MessageScript,
  NAME,
  retransmitted,
  storedThenPulled,
} from '../../support/message-trace.ts';

function storyOf(script: MessageScript): Story {
  return tellStory(script.file(), NAME) as Story;
}

const ENTITY = /&(amp|lt|gt|quot|#39);/g;

/** Fails unless every element is closed in order and no text or attribute holds a bare character. */
function assertWellFormed(svg: string): void {
  const open: string[] = [];
  let at = 0;
  for (const found of svg.matchAll(/<(\/?)(\w+)((?: [\w:-]+="[^"<]*")*)(\/?)>/g)) {
    const between = svg.slice(at, found.index).replace(ENTITY, '');
    const isStyle = open.at(-1) === 'style';
    assert.not.match(isStyle ? '' : between, /[<>&]/);
    at = found.index + found[0].length;
    const [, isEnd, name, , isEmpty] = found;
    if (isEnd === '/') assert.is(open.pop(), name);
    else if (isEmpty !== '/') open.push(name as string);
  }
  assert.equal(open, []);
  assert.is(svg.slice(at), '\n');
}

function count(svg: string, pattern: RegExp): number {
  return [...svg.matchAll(pattern)].length;
}

test('draws every packet as an arrow, a dropped one with a cross, a held one with a square', () => {
  const svg = drawStory(storyOf(retransmitted()));
  assertWellFormed(svg);
  // msg:R twice, msg:A, msg:N twice, ack:R, ack:N, ack:A arrive.
  assert.is(count(svg, /class="tip"/g), 8);
  assert.is(count(svg, /class="cross"/g), 2);
  assert.is(count(svg, /class="hold"/g), 1);
  assert.is(count(svg, />msg:R</g), 2);
  assert.match(svg, '149.000 ms');
  assert.match(svg, 'Delivered once at 1.000 ms, by push');
});

test('draws the line of an absent receiver dashed until she is there', () => {
  const svg = drawStory(storyOf(storedThenPulled()));
  assertWellFormed(svg);
  assert.is(count(svg, /class="lane away"/g), 1);
  assert.is(count(svg, /class="lane"/g), 3);
});

test('draws a loss in red, and needs nothing from elsewhere', () => {
  const svg = drawStory(storyOf(lost()));
  assertWellFormed(svg);
  assert.match(svg, /<text class="bad"[^>]*>LOST: /);
  assert.not.match(svg, /href|url\(|@import|<script/);
  assert.match(svg, 'prefers-color-scheme: dark');
});

test('escapes what others named', () => {
  const evil = '</text><script>alert("1")</script> & \u0001 \'x\'';
  const svg = drawStory({ ...storyOf(lost()), scenario: evil, store: evil, outcome: evil });
  assertWellFormed(svg);
  assert.not.match(svg, '<script');
  assert.match(svg, '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; \ufffd &#39;x&#39;');
});

test('arrows lie inside the picture, and steps go down', () => {
  for (const script of [retransmitted(), storedThenPulled(), lost()]) {
    const svg = drawStory(storyOf(script));
    const height = Number(/height="(\d+)"/.exec(svg)?.[1]);
    for (const [, y1, y2] of svg.matchAll(/class="packet"[^>]*y1="([\d.]+)"[^>]*y2="([\d.]+)"/g)) {
      assert.ok(Number(y1) <= Number(y2) && Number(y2) < height);
    }
  }
});

test.run();
