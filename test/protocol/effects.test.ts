import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ClientEffectKind,
  createClientEffects,
  createGatewayEffects,
  EffectBuffer,
} from '../../protocol/index.ts';

test('hands out slots in order and keeps them until it is cleared', () => {
  const buffer = new EffectBuffer(() => ({ value: 0 }));
  buffer.push().value = 1;
  buffer.push().value = 2;
  assert.is(buffer.length, 2);
  assert.equal([buffer.at(0), buffer.at(1)], [{ value: 1 }, { value: 2 }]);
});

test('reuses the slots of a drained buffer instead of making new ones', () => {
  let made = 0;
  const buffer = new EffectBuffer(() => ({ number: ++made }));
  const first = buffer.push();
  buffer.push();
  buffer.clear();
  assert.is(buffer.length, 0);
  assert.is(buffer.push(), first);
  assert.is(made, 2);
});

test('refuses to read a slot that was drained', () => {
  const buffer = new EffectBuffer(() => ({ value: 0 }));
  buffer.push();
  buffer.clear();
  assert.throws(() => buffer.at(0), /effect index in range/);
});

test('gives each slot of the machines a packet of its own', () => {
  const client = createClientEffects();
  assert.is(client.push().kind, ClientEffectKind.Send);
  assert.is.not(client.at(0).packet, client.push().packet);
  const gateway = createGatewayEffects<string>();
  assert.is(gateway.push().session, null);
  assert.is.not(gateway.at(0).packet, gateway.push().packet);
});

test.run();
