/**
 * Planted bugs of the store, for proving that the power-loss test can fail. Loaded into a server
 * with `--import`: puts itself between the store and lmdb, so that no production file knows of it.
 * POWER_LOSS_MUTANT says which:
 *
 * - `no-sync`: lmdb never syncs.
 * - `overlapping-sync`: the default of lmdb-js; a write is answered before it is flushed.
 * - `answers-early`: the store answers while the commit is still in flight.
 * - `hides-failures`: a commit that failed is answered as if it had not.
 */
import { registerHooks } from 'node:module';
import type { RootDatabase, RootDatabaseOptionsWithPath } from 'lmdb';

const PLANTED = 'power-loss:lmdb';

/** What the planted module finds under `globalThis.plant`. */
function plant(open: (options: object) => RootDatabase, options: object): RootDatabase {
  switch (process.env['POWER_LOSS_MUTANT']) {
    case 'no-sync':
      return open({ ...options, noSync: true });
    case 'overlapping-sync':
      return open({ ...options, overlappingSync: true } as RootDatabaseOptionsWithPath);
    case 'answers-early': {
      const db = open(options);
      const batch = db.batch.bind(db);
      db.batch = (action) => {
        void batch(action);
        return Promise.resolve(true);
      };
      return db;
    }
    case 'hides-failures': {
      const db = open(options);
      const batch = db.batch.bind(db);
      db.batch = (action) =>
        batch(action).catch((error: { commitError?: Promise<never> }) => {
          error.commitError?.catch(() => {});
          return true;
        });
      return db;
    }
    default:
      throw new Error(`no such mutant: ${process.env['POWER_LOSS_MUTANT']}`);
  }
}

Object.assign(globalThis, { plant });
registerHooks({
  resolve(specifier, context, next) {
    const isStore = context.parentURL?.endsWith('/lmdb-store.ts') ?? false;
    if (specifier !== 'lmdb' || !isStore) return next(specifier, context);
    return { url: `${PLANTED}?${next(specifier, context).url}`, shortCircuit: true };
  },
  load(url, context, next) {
    if (!url.startsWith(PLANTED)) return next(url, context);
    const real = JSON.stringify(url.slice(PLANTED.length + 1));
    const source = `import { open as real } from ${real};
      export const open = (options) => globalThis.plant(real, options);`;
    return { format: 'module', source, shortCircuit: true };
  },
});
