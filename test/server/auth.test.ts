/** Tokens: which are accepted under which algorithm, and where a request may carry them. */
import {
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  sign as signWith,
  verify,
} from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type AuthOptions,
  createAuthenticator,
  type JwtAlgorithm,
  mintToken,
  tokenOf,
} from '../../server/auth.ts';

const SECRET = 'a secret of more than thirty-two bytes';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');

const KEYS: Record<JwtAlgorithm, { readonly sign: string; readonly verify: string }> = {
  HS256: { sign: SECRET, verify: SECRET },
  RS256: { sign: pem(rsa.privateKey), verify: pem(rsa.publicKey) },
  EdDSA: { sign: pem(ed.privateKey), verify: pem(ed.publicKey) },
};
const ALGORITHMS = Object.keys(KEYS) as JwtAlgorithm[];

function pem(key: KeyObject): string {
  const type = key.type === 'private' ? 'pkcs8' : 'spki';
  return key.export({ type, format: 'pem' }).toString();
}

function authenticator(algorithm: JwtAlgorithm): ReturnType<typeof createAuthenticator> {
  return createAuthenticator({ algorithm, key: KEYS[algorithm].verify });
}

function mint(algorithm: JwtAlgorithm, uid = 1001): string {
  return mintToken({ algorithm, key: KEYS[algorithm].sign, uid, lifetimeS: 60 });
}

/** A token with any header and claims, signed by node:crypto and not by the library under test. */
function forge(header: object, claims: object, sign: (text: string) => Buffer): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign(text).toString('base64url')}`;
}

function hs256(key: string): (text: string) => Buffer {
  return (text) => createHmac('sha256', key).update(text).digest();
}

function nowS(): number {
  return Math.floor(Date.now() / 1000);
}

const test = suite('tokens');

for (const algorithm of ALGORITHMS) {
  test(`accepts what it minted with ${algorithm}, and says who and until when`, () => {
    const before = nowS();
    const identity = authenticator(algorithm)(mint(algorithm));
    assert.type(identity, 'object');
    const { uid, expiresAtMs } = identity as { uid: number; expiresAtMs: number };
    assert.is(uid, 1001);
    assert.ok(expiresAtMs >= (before + 60) * 1000 && expiresAtMs <= (nowS() + 60) * 1000);
  });

  test(`refuses under ${algorithm} a token of every other algorithm`, () => {
    const authenticate = authenticator(algorithm);
    for (const other of ALGORITHMS) {
      if (other !== algorithm) assert.is(authenticate(mint(other)), 'token-invalid', other);
    }
  });
}

test('signs as the standards say: node:crypto accepts the signatures', () => {
  const [rs, edDsa] = (['RS256', 'EdDSA'] as const).map((algorithm) => {
    const [header, claims, signature] = mint(algorithm).split('.') as [string, string, string];
    return {
      text: Buffer.from(`${header}.${claims}`),
      signature: Buffer.from(signature, 'base64url'),
    };
  });
  assert.ok(verify('sha256', rs!.text, rsa.publicKey, rs!.signature));
  assert.ok(verify(null, edDsa!.text, ed.publicKey, edDsa!.signature));
});

test('accepts tokens that another library signed', () => {
  const claims = { sub: '5', exp: nowS() + 60 };
  const tokens: Record<JwtAlgorithm, string> = {
    HS256: forge({ alg: 'HS256' }, claims, hs256(SECRET)),
    RS256: forge({ alg: 'RS256' }, claims, (text) => {
      return signWith('sha256', Buffer.from(text), rsa.privateKey);
    }),
    EdDSA: forge({ alg: 'EdDSA', typ: 'JWT', kid: 'k1' }, { ...claims, extra: [1] }, (text) => {
      return signWith(null, Buffer.from(text), ed.privateKey);
    }),
  };
  for (const algorithm of ALGORITHMS) {
    const identity = authenticator(algorithm)(tokens[algorithm]);
    assert.equal(identity, { uid: 5, expiresAtMs: claims.exp * 1000 }, algorithm);
  }
});

test('is not taken in by a public key used as a secret', () => {
  for (const algorithm of ['RS256', 'EdDSA'] as const) {
    const key = KEYS[algorithm].verify;
    const claims = { sub: '1', exp: nowS() + 60 };
    for (const alg of ['HS256', algorithm]) {
      const token = forge({ alg, typ: 'JWT' }, claims, hs256(key));
      assert.is(authenticator(algorithm)(token), 'token-invalid', `${alg} against ${algorithm}`);
    }
  }
});

test('is not taken in by algorithm none, in any spelling', () => {
  const claims = { sub: '1', exp: nowS() + 60 };
  for (const alg of ['none', 'None', 'NONE', '']) {
    const token = forge({ alg, typ: 'JWT' }, claims, () => Buffer.alloc(0));
    for (const algorithm of ALGORITHMS) {
      assert.is(authenticator(algorithm)(token), 'token-invalid', `${alg} against ${algorithm}`);
    }
  }
});

test('requires exp and sub, and a uid in sub', () => {
  const authenticate = authenticator('HS256');
  const check = (claims: object): unknown =>
    authenticate(forge({ alg: 'HS256' }, claims, hs256(SECRET)));
  const exp = nowS() + 60;
  assert.equal(check({ sub: String(2 ** 53 - 1), exp }), {
    uid: 2 ** 53 - 1,
    expiresAtMs: exp * 1000,
  });
  for (const claims of [
    { exp },
    { sub: '1' },
    { sub: 1, exp },
    { sub: '0', exp },
    { sub: '', exp },
    { sub: 'abc', exp },
    { sub: '01', exp },
    { sub: '1.0', exp },
    { sub: '-1', exp },
    { sub: '0x1', exp },
    { sub: '1\n', exp },
    { sub: String(2 ** 53), exp },
    { sub: '9'.repeat(40), exp },
    { sub: ['1'], exp },
    { sub: '1', exp: String(exp) },
    { sub: '1', exp: null },
    { sub: '1', exp, nbf: exp },
  ]) {
    assert.is(check(claims), 'token-invalid', JSON.stringify(claims));
  }
  assert.is(check({ sub: '1', exp: nowS() - 1 }), 'token-expired');
  assert.is(check({ sub: '1', exp: 0 }), 'token-expired');
});

test('tells a missing token from a wrong one, and never throws', () => {
  const authenticate = authenticator('HS256');
  assert.is(authenticate(null), 'token-missing');
  assert.is(authenticate(''), 'token-missing');
  const good = mint('HS256');
  for (const token of ['x', '.', '..', '...', `${good}.`, `${good}x`, good.slice(1), '\0', '💥']) {
    assert.is(authenticate(token), 'token-invalid', JSON.stringify(token));
  }
  const [header, , signature] = good.split('.') as [string, string, string];
  const other = Buffer.from(JSON.stringify({ sub: '2', exp: nowS() + 60 })).toString('base64url');
  assert.is(authenticate(`${header}.${other}.${signature}`), 'token-invalid');
});

test('refuses a key that does not fit the algorithm at once', () => {
  const wrong: AuthOptions[] = [
    { algorithm: 'RS256', key: SECRET },
    { algorithm: 'EdDSA', key: SECRET },
    { algorithm: 'RS256', key: KEYS.EdDSA.verify },
    { algorithm: 'EdDSA', key: KEYS.RS256.verify },
    { algorithm: 'HS256', key: KEYS.RS256.verify },
  ];
  for (const options of wrong) {
    assert.throws(() => createAuthenticator(options), /key/i, options.algorithm);
  }
  assert.throws(() => mintToken({ algorithm: 'RS256', key: SECRET, uid: 1, lifetimeS: 1 }), /key/i);
});

test('takes the token from the header, then a subprotocol, then the query', () => {
  const request = { authorization: '', subprotocols: '', queryToken: undefined };
  const subprotocols = 'ackbench.v1, bearer.from-subprotocol';
  assert.is(tokenOf(request), null);
  assert.is(tokenOf({ ...request, queryToken: 'q' }), 'q');
  assert.is(tokenOf({ ...request, subprotocols, queryToken: 'q' }), 'from-subprotocol');
  assert.is(tokenOf({ authorization: 'Bearer h', subprotocols, queryToken: 'q' }), 'h');
  assert.is(tokenOf({ ...request, authorization: 'bearer  h ' }), 'h', 'scheme in any case');
  assert.is(tokenOf({ ...request, authorization: 'Basic abc', queryToken: 'q' }), 'q');
  assert.is(tokenOf({ ...request, subprotocols: 'bearer.only' }), 'only');
  assert.is(tokenOf({ ...request, subprotocols: 'chat, ackbench.v1' }), null);
});

test.run();
