/** Commits unpacked into a cache: with the right packages, every time. */
import { existsSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkOut, CheckoutError, resolveRef } from '../../../bench/compare/checkouts.ts';
import { withTempDir } from '../../support/temp-dir.ts';

const ROOT = join(import.meta.dirname, '../../..');
const HAS_GIT = existsSync(join(ROOT, '.git'));
const quiet = { log: () => {}, signal: new AbortController().signal };

if (HAS_GIT) {
  test('a cached checkout gets the packages of its own lock file again, whatever it had', async () => {
    await withTempDir(async (cache) => {
      process.env['ACKBENCH_CACHE'] = cache;
      try {
        const { directory } = await checkOut('HEAD', quiet);
        const link = join(directory, 'node_modules');
        const right = readlinkSync(link);
        // As when the tree that it was linked to has moved on to other packages.
        rmSync(link);
        symlinkSync(cache, link, 'dir');
        await checkOut('HEAD', quiet);
        assert.is(readlinkSync(link), right);
      } finally {
        delete process.env['ACKBENCH_CACHE'];
      }
    });
  });
}

test('what is no commit is refused by name', () => {
  for (const ref of ['no-such-ref', '--upload-pack=x']) {
    assert.throws(
      () => resolveRef(ref),
      (error: Error) => error instanceof CheckoutError && error.message.includes(ref.slice(0, 9)),
    );
  }
});

test.run();
