/**
 * Who is speaking: JSON Web Tokens at the WebSocket upgrade and on every HTTP call.
 *
 * The algorithm is pinned by configuration, `exp` and `sub` are required, the uid is the decimal
 * number in `sub` (RFC 7519 section 4.1). The only file that knows the JWT library.
 */
import { createSigner, createVerifier, TokenError } from 'fast-jwt';
import { isUid } from '../protocol/index.ts';

export const JWT_ALGORITHMS = ['HS256', 'RS256', 'EdDSA'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

export interface Identity {
  readonly uid: number;
  /** When the token ends, ms since 1970. */
  readonly expiresAtMs: number;
}

export type AuthError = 'token-missing' | 'token-invalid' | 'token-expired';

export interface AuthOptions {
  readonly algorithm: JwtAlgorithm;
  /** Secret (HS256) or public key in PEM (RS256, EdDSA). */
  readonly key: string;
}

/** Subprotocol that browsers ask for; the token travels beside it as `bearer.<token>`. */
export const SUBPROTOCOL = 'ackbench.v1';
const BEARER_SUBPROTOCOL = 'bearer.';

/** Returns a function that checks a token; it never throws. Throws here when the key is unusable. */
export function createAuthenticator(
  options: AuthOptions,
): (token: string | null) => Identity | AuthError {
  refusePemAsSecret(options);
  const verify = createVerifier({
    key: options.key,
    algorithms: [options.algorithm],
    requiredClaims: ['exp', 'sub'],
    cache: false,
  });
  return (token) => {
    if (token === null || token === '') return 'token-missing';
    try {
      const claims: unknown = verify(token);
      const { sub, exp } = claims as { sub: unknown; exp: unknown };
      const uid = typeof sub === 'string' && /^[1-9]\d{0,15}$/.test(sub) ? Number(sub) : 0;
      if (!isUid(uid) || typeof exp !== 'number') return 'token-invalid';
      return { uid, expiresAtMs: exp * 1000 };
    } catch (error) {
      const isExpired = error instanceof TokenError && error.code === TokenError.codes.expired;
      return isExpired ? 'token-expired' : 'token-invalid';
    }
  };
}

/**
 * A PEM key under HS256 means that the algorithm was forgotten. The library would take the text as
 * the secret, and whoever knows a public key could sign tokens.
 */
function refusePemAsSecret({ algorithm, key }: AuthOptions): void {
  if (algorithm === 'HS256' && key.includes('-----BEGIN ')) {
    throw new Error('the key is in PEM, which is no secret for HS256; give the algorithm too');
  }
}

/** Mints a token for `uid`, valid for `lifetimeS` from now. */
export function mintToken(
  options: AuthOptions & { readonly uid: number; readonly lifetimeS: number },
): string {
  refusePemAsSecret(options);
  const sign = createSigner({
    key: options.key,
    algorithm: options.algorithm,
    expiresIn: options.lifetimeS * 1000,
  });
  return sign({ sub: String(options.uid) });
}

/** The token of a request: Authorization header, then subprotocol, then query parameter. */
export function tokenOf(request: {
  readonly authorization: string;
  readonly subprotocols: string;
  readonly queryToken: string | undefined;
}): string | null {
  const bearer = /^Bearer +(.+)$/i.exec(request.authorization);
  if (bearer !== null) return (bearer[1] as string).trim();
  for (const offered of request.subprotocols.split(',')) {
    const name = offered.trim();
    if (name.startsWith(BEARER_SUBPROTOCOL)) return name.slice(BEARER_SUBPROTOCOL.length);
  }
  return request.queryToken ?? null;
}
