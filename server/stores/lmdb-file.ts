/**
 * A look at data.mdb before lmdb maps it. lmdb trusts its file: one that was cut short or overwritten
 * takes the process with it (SIGBUS, SIGSEGV) instead of giving an error that somebody could read.
 *
 *     page 0, 1    meta: magic, page size, roots of two trees (free pages, rows), transaction number;
 *                  the one with the larger number counts
 *     page n       branch: page numbers of its children    leaf: rows    overflow: one large row
 *
 * Checked: both meta pages, every branch page, and in files up to `LEAF_PAGES_MAX` pages every leaf
 * and the place of every large row. What is inside a row is not: lmdb keeps no checksums. About 5 us
 * a page. Layout: struct MDB_meta, MDB_db and MDB_page of the lmdb that lmdb-js brings; a file of
 * another layout version is left to lmdb.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const MAGIC = 0xbeefc0de;
const LAYOUT_VERSION = 2;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX = 65_536;
const HEADER_BYTES = 24;
const META_BYTES = 168;
const PageFlag = { Branch: 1, Leaf: 2, Overflow: 4, Meta: 8 } as const;
/** In a leaf: the row lies on pages of its own, whose number is here. */
const NODE_IS_LARGE = 1;
/** An empty tree. */
const NO_ROOT = 2n ** 64n - 1n;
const LEAF_PAGES_MAX = 65_536;

/** What is wrong with the database at `path`, in a few words; empty when nothing was found. */
export function damageOf(path: string): string {
  const file = openSync(path, 'r');
  try {
    return new DatabaseFile(file).damage();
  } finally {
    closeSync(file);
  }
}

interface Tree {
  readonly root: bigint;
  /** Levels of pages, the leaves included. */
  readonly depth: number;
}

interface Meta {
  readonly version: number;
  readonly pageBytes: number;
  readonly trees: readonly Tree[];
  readonly lastPage: bigint;
  readonly transaction: bigint;
}

class DatabaseFile {
  private readonly file: number;
  private readonly bytes: number;
  private pageBytes = 0;
  private pages = 0;
  private looksAtLeaves = false;

  constructor(file: number) {
    this.file = file;
    this.bytes = fstatSync(file).size;
  }

  damage(): string {
    if (this.bytes < 2 * PAGE_BYTES_MIN) return `it is only ${this.bytes} bytes long`;
    const first = this.meta(0, 0);
    if (typeof first === 'string') return first;
    if (first.version !== LAYOUT_VERSION) return '';
    this.pageBytes = first.pageBytes;
    const isPageSize =
      this.pageBytes >= PAGE_BYTES_MIN &&
      this.pageBytes <= PAGE_BYTES_MAX &&
      Number.isInteger(Math.log2(this.pageBytes));
    if (!isPageSize) return 'its first page names an impossible page size';
    if (this.bytes < 2 * this.pageBytes) return `it is only ${this.bytes} bytes long`;
    const second = this.meta(1, this.pageBytes);
    if (typeof second === 'string') return second;
    const meta = second.transaction > first.transaction ? second : first;
    this.pages = Math.floor(this.bytes / this.pageBytes);
    this.looksAtLeaves = this.pages <= LEAF_PAGES_MAX;
    for (const tree of meta.trees) {
      if (tree.root === NO_ROOT) continue;
      if (tree.root > meta.lastPage) return 'its root page is beyond its last page';
      const damage = this.treeDamage(tree);
      if (damage !== '') return damage;
    }
    return '';
  }

  private meta(page: number, offset: number): Meta | string {
    const view = this.read(offset, META_BYTES);
    const isMeta =
      view !== null &&
      view.getBigUint64(0, true) === BigInt(page) &&
      (view.getUint16(18, true) & PageFlag.Meta) !== 0 &&
      view.getUint32(24, true) === MAGIC;
    if (!isMeta) return `page ${page} is not the head of a database`;
    return {
      version: view.getUint32(28, true) & 0xffff,
      pageBytes: view.getUint32(48, true),
      trees: [48, 96].map((at) => {
        return { depth: view.getUint16(at + 6, true), root: view.getBigUint64(at + 40, true) };
      }),
      lastPage: view.getBigUint64(144, true),
      transaction: view.getBigUint64(152, true),
    };
  }

  /** Follows the page numbers down from the root. */
  private treeDamage({ root, depth }: Tree): string {
    const open = [{ page: root, level: 1 }];
    let seen = 0;
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { page, level } = next;
      const view = this.page(page, this.pageBytes);
      if (view === null) return `page ${page} is missing`;
      // More pages than there are: some branch leads back to where it came from.
      if (++seen > this.pages) return `page ${page} is damaged`;
      const isLeaf = level === depth;
      const flags = view.getUint16(18, true) & (PageFlag.Branch | PageFlag.Leaf);
      const isRight =
        view.getBigUint64(0, true) === page && flags === (isLeaf ? PageFlag.Leaf : PageFlag.Branch);
      const nodes = isRight ? this.nodesOf(view) : null;
      if (nodes === null) return `page ${page} is damaged`;
      for (const node of nodes) {
        if (isLeaf) {
          const damage = this.rowDamage(view, node);
          if (damage !== '') return damage;
          continue;
        }
        const child =
          BigInt(view.getUint32(node, true)) + (BigInt(view.getUint16(node + 4, true)) << 32n);
        if (child >= BigInt(this.pages)) return `page ${child} is missing`;
        if (level + 1 < depth || this.looksAtLeaves) open.push({ page: child, level: level + 1 });
      }
    }
    return '';
  }

  /** Where the entries of a branch or a leaf begin; null when that cannot be. */
  private nodesOf(view: DataView): number[] | null {
    const lower = view.getUint16(20, true);
    const upper = view.getUint16(22, true);
    if (lower % 2 !== 0 || lower > upper || HEADER_BYTES + upper > this.pageBytes) return null;
    const nodes: number[] = [];
    for (let at = 0; at < lower; at += 2) {
      const node = HEADER_BYTES + view.getUint16(HEADER_BYTES + at, true);
      if (node < HEADER_BYTES + upper || node + 8 > this.pageBytes) return null;
      nodes.push(node);
    }
    return nodes;
  }

  /** That a row lies inside its leaf, or a large one inside the file. */
  private rowDamage(leaf: DataView, node: number): string {
    const rowBytes = leaf.getUint32(node, true);
    const at = node + 8 + leaf.getUint16(node + 6, true);
    const isLarge = (leaf.getUint16(node + 4, true) & NODE_IS_LARGE) !== 0;
    if (at + (isLarge ? 8 : rowBytes) > this.pageBytes) {
      return `page ${leaf.getBigUint64(0, true)} is damaged`;
    }
    if (!isLarge) return '';
    const page = leaf.getBigUint64(at, true);
    const pages = Math.ceil((HEADER_BYTES + rowBytes) / this.pageBytes);
    const head = this.page(page, HEADER_BYTES);
    if (head === null || page + BigInt(pages) > BigInt(this.pages))
      return `page ${page} is missing`;
    const isRight =
      head.getBigUint64(0, true) === page &&
      (head.getUint16(18, true) & PageFlag.Overflow) !== 0 &&
      head.getUint32(20, true) >= pages;
    return isRight ? '' : `page ${page} is damaged`;
  }

  /** The first bytes of a page; null when the file has no such page behind its head. */
  private page(page: bigint, bytes: number): DataView | null {
    if (page < 2n || page >= BigInt(this.pages)) return null;
    return this.read(Number(page) * this.pageBytes, bytes);
  }

  /** null beyond the end of the file. */
  private read(offset: number, bytes: number): DataView | null {
    const buffer = new Uint8Array(bytes);
    if (readSync(this.file, buffer, 0, bytes, offset) !== bytes) return null;
    return new DataView(buffer.buffer);
  }
}
