/**
 * The two sides of a comparison: a git ref, the working tree, a command that starts a server, or the
 * URL of one that runs already. What must stay true: both sides are loaded by the same generator, the
 * working tree's, so that only the server under test differs.
 */
import { isLoopback, parseEndpoint } from '../../loadgen/index.ts';
import { referenceOf, type ServerProgram } from '../server-program.ts';
import { type Checkout, checkOut, resolveRef, workingTree, WORKING_TREE } from './checkouts.ts';

export interface Side {
  readonly label: string;
  /** null = a server that runs already. */
  readonly program: ServerProgram | null;
  readonly target: {
    readonly url: string;
    readonly jwtKey: string;
    readonly isInsecure: boolean;
  } | null;
  /** null = not a version of this project. */
  readonly checkout: Checkout | null;
}

/** What a report says of a side. */
export interface SideReport {
  readonly label: string;
  readonly kind: 'commit' | 'working tree' | 'command' | 'url';
  readonly sha: string | null;
  readonly subject: string | null;
  readonly dirty: boolean;
}

export function describeSide({ label, program, target, checkout }: Side): SideReport {
  const kind =
    checkout !== null
      ? checkout.label === WORKING_TREE
        ? 'working tree'
        : 'commit'
      : target === null && program !== null
        ? 'command'
        : 'url';
  return {
    label,
    kind,
    sha: checkout?.sha ?? null,
    subject: checkout?.subject ?? null,
    dirty: checkout?.isDirty ?? false,
  };
}

/** The side that a git ref names; null = the working tree. Unpacks and installs where needed. */
export async function sideOfRef(
  ref: string | null,
  options: { log: (line: string) => void; signal: AbortSignal },
): Promise<Side> {
  const checkout = ref === null ? workingTree() : await checkOut(ref, options);
  const { label, directory } = checkout;
  return { label, program: referenceOf(directory), target: null, checkout };
}

/** Whether a word of the command line is a ref of this repository. */
export function isRef(word: string): boolean {
  try {
    resolveRef(word);
    return true;
  } catch {
    return false;
  }
}

/** The side that `--a` or `--b` gives, or what is wrong with it. */
export function sideOfText(
  text: string,
  options: { jwtKey: string | undefined; isInsecure: boolean; allowRemote: boolean },
): Side | string {
  if (!/^wss?:\/\//.test(text)) {
    if (text.trim() === '') return 'is empty: give a command or a ws:// URL';
    return {
      label: text,
      program: { kind: 'command', command: text },
      target: null,
      checkout: null,
    };
  }
  if (options.jwtKey === undefined) return 'a URL needs --jwt-key, the HS256 secret of the server';
  try {
    const { host } = parseEndpoint(text, { isInsecure: options.isInsecure });
    if (!isLoopback(host) && !options.allowRemote) {
      return `${text} is not on this machine; add --allow-remote if you may load it`;
    }
  } catch (error) {
    return (error as Error).message;
  }
  const target = { url: text, jwtKey: options.jwtKey, isInsecure: options.isInsecure };
  return { label: text, program: null, target, checkout: null };
}
