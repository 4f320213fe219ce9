/** The lmdb store with commits that a test can hold back or let fail. */
import { LmdbStore } from '../../server/stores/lmdb-store.ts';

export class FaultyLmdbStore extends LmdbStore {
  /** So many of the next commits fail, before they wrote anything. */
  failCommits = 0;
  private isHeld = false;
  private letGo: () => void = () => {};
  private gate: Promise<void> = Promise.resolve();

  /** Commits that start from now on wait for `release`. */
  hold(): void {
    this.isHeld = true;
    this.gate = new Promise((resolve) => (this.letGo = resolve));
  }

  release(): void {
    this.isHeld = false;
    this.letGo();
  }

  protected override async commit(write: () => void): Promise<void> {
    if (this.isHeld) await this.gate;
    if (this.failCommits > 0) {
      this.failCommits--;
      throw new Error('the test wants this commit to fail');
    }
    await super.commit(write);
  }
}
