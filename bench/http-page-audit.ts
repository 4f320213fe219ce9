/**
 * What an HTTP page of the inbox must hold, checked outside the measured time: right number of rows,
 * none twice, every content intact and meant for the user who pulled. The load itself only counts
 * answers and bytes, so that checking does not slow down what it measures.
 */
import http from 'node:http';
import https from 'node:https';
import { PayloadReader } from '../loadgen/index.ts';

/** A page as the HTTP API sends it; content is base64. */
export interface HttpPage {
  readonly rows: readonly {
    readonly sender: number;
    readonly epoch: number;
    readonly seq: number;
    readonly content: string;
  }[];
  readonly more: boolean;
}

export interface PageAudit {
  pages: number;
  rows: number;
  /** Of the bodies. */
  bytes: number;
  /** What was wrong, one sentence per page. */
  mistakes: string[];
}

/** Rows and bytes of a page, on average; 0 when none was read. */
export function meanPage({ pages, rows, bytes }: PageAudit): { rows: number; bytes: number } {
  const count = Math.max(1, pages);
  return { rows: rows / count, bytes: bytes / count };
}

const reader = new PayloadReader();

/** What is wrong with the first page of `uid`, whose inbox holds `stored` messages; null = nothing. */
export function pageMistake(
  page: HttpPage,
  expected: { uid: number; stored: number; limit: number },
): string | null {
  const { rows, more } = page;
  const full = Math.min(expected.stored, expected.limit);
  // A server may cap a page below what was asked for, if it says that there is more.
  const isCut = rows.length > 0 && rows.length < full && more;
  if (rows.length !== full && !isCut) return `${rows.length} rows instead of ${full}`;
  if (more !== rows.length < expected.stored) return `more is ${more} after ${rows.length} rows`;
  const names = new Set<string>();
  for (const { sender, epoch, seq, content } of rows) {
    const name = `${sender} epoch ${epoch} seq ${seq}`;
    if (names.has(name)) return `${name} is there twice`;
    names.add(name);
    if (!reader.read(Buffer.from(content, 'base64'))) return `${name} is corrupt`;
    if (reader.receiver !== expected.uid) return `${name} is meant for ${reader.receiver}`;
    if (reader.sender !== sender || reader.seq !== seq) return `${name} carries another message`;
  }
  return null;
}

/** Pulls one page of each of `uids` and checks it. Nothing is acknowledged, so nothing changes. */
export async function auditPages(options: {
  origin: string;
  isInsecure: boolean;
  uids: readonly number[];
  tokenOf: (uid: number) => string;
  stored: number;
  limit: number;
}): Promise<PageAudit> {
  const { origin, isInsecure, uids, tokenOf, stored, limit } = options;
  const audit: PageAudit = { pages: 0, rows: 0, bytes: 0, mistakes: [] };
  const url = `${origin}/v1/inbox?limit=${limit}`;
  for (const uid of uids) {
    audit.pages++;
    let mistake: string | null;
    try {
      const { status, body } = await get(url, tokenOf(uid), isInsecure);
      audit.bytes += body.length;
      mistake = `answered ${status}`;
      if (status === 200) {
        const page = JSON.parse(body.toString()) as HttpPage;
        audit.rows += page.rows.length;
        mistake = pageMistake(page, { uid, stored, limit });
      }
    } catch (error) {
      mistake = (error as Error).message;
    }
    if (mistake !== null) audit.mistakes.push(`HTTP page of ${uid}: ${mistake}`);
  }
  return audit;
}

const TIMEOUT_MS = 10_000;

function get(
  url: string,
  token: string,
  isInsecure: boolean,
): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const options = {
      headers: { authorization: `Bearer ${token}` },
      timeout: TIMEOUT_MS,
      rejectUnauthorized: !isInsecure,
    };
    const request = (url.startsWith('https:') ? https : http).get(url, options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }),
      );
    });
    request.on('timeout', () => request.destroy(new Error(`no answer from ${url}`)));
    request.on('error', reject);
  });
}
