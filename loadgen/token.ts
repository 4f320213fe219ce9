/** Tokens for the virtual clients (HS256, uid in `sub`). The only file here that knows JWT. */
import { createSigner } from 'fast-jwt';

/** Returns a function that mints a token for a uid, valid for a day. */
export function createMinter(key: string): (uid: number) => string {
  const sign = createSigner({ key, algorithm: 'HS256', expiresIn: 24 * 3600 * 1000 });
  return (uid) => sign({ sub: String(uid) });
}
