/** Users of a traced run: by their number from 0 on, as scenarios count them, or by their uid. */
import { formatCount } from '../units.ts';
import type { TraceHeader } from './message-trace-file.ts';

type Parts = Pick<TraceHeader, 'parts'>;

/** The uid of whoever is meant; null = no such user. */
export function uidOf({ parts }: Parts, given: number): number | null {
  if (parts.some(({ uidBase, users }) => given >= uidBase && given < uidBase + users)) return given;
  let rest = given;
  for (const { uidBase, users } of parts) {
    if (rest < users) return uidBase + rest;
    rest -= users;
  }
  return null;
}

/** The number of a user; null = somebody else's uid. */
export function numberOf({ parts }: Parts, uid: number): number | null {
  let before = 0;
  for (const { uidBase, users } of parts) {
    if (uid >= uidBase && uid < uidBase + users) return before + uid - uidBase;
    before += users;
  }
  return null;
}

/** Which users there are. */
export function rangeText({ parts }: Parts): string {
  const count = parts.reduce((sum, { users }) => sum + users, 0);
  const uids = parts.map(({ uidBase, users }) => `${uidBase} … ${uidBase + users - 1}`);
  return `${formatCount(count)} users, 0 … ${count - 1}, or by uid ${uids.join(', ')}`;
}
