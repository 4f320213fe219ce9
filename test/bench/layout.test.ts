/** How a load is laid out over processes and servers, and which limit is named when it does not fit. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Layout, layoutOf, type LoadSize, type MachineLimits } from '../../bench/layout.ts';

const GIB = 2 ** 30;
const LIMITS: MachineLimits = {
  openFiles: 20_000,
  cores: 2,
  systemFiles: 2_000_000,
  freeBytes: 22 * GIB,
  ports: 28_232,
};
const SIZE: LoadSize = { clients: 2000, workers: 1, servers: null, targetHost: null };

function laidOut(size: Partial<LoadSize>, limits: Partial<MachineLimits> = {}): Layout {
  const layout = layoutOf({ ...SIZE, ...size }, { ...LIMITS, ...limits });
  if ('binds' in layout) throw new Error(layout.binds);
  return layout;
}

function binding(size: Partial<LoadSize>, limits: Partial<MachineLimits> = {}): string {
  const layout = layoutOf({ ...SIZE, ...size }, { ...LIMITS, ...limits });
  return 'binds' in layout ? layout.binds : 'fits';
}

test('clients that one process can hold are driven by threads, against one server', () => {
  assert.equal(laidOut({ workers: 3 }), {
    servers: 1,
    generators: 3,
    generatorsAre: 'threads',
    reason: '',
  });
});

test('beyond the open files of one process, generators and servers are several', () => {
  const layout = laidOut({ clients: 50_000 });
  assert.is(layout.servers, 3);
  assert.is(layout.generators, 3);
  assert.is(layout.generatorsAre, 'processes');
  assert.match(layout.reason, /50,000 clients, and a process may open 20000 files/);
});

test('every server has a generator of its own, because its users write to nobody else', () => {
  assert.is(laidOut({ servers: 4 }).generators, 4);
  assert.is(laidOut({ servers: 4 }).generatorsAre, 'threads');
});

test('a target is one server, whatever its clients', () => {
  const layout = laidOut({ clients: 50_000, targetHost: '127.0.0.1' });
  assert.is(layout.servers, 1);
  assert.is(layout.generators, 3);
});

test('an unknown limit of open files binds nobody', () => {
  assert.is(laidOut({ clients: 50_000 }, { openFiles: 0 }).generatorsAre, 'threads');
});

test('the limit that binds is named with what it allows', () => {
  assert.match(
    binding({ clients: 50_000, servers: 2 }),
    /open files: 2 servers take at most 39,000/,
  );
  assert.match(
    binding({ clients: 2000 }, { openFiles: 400 }),
    /open files: a process may open 400/,
  );
  assert.match(
    binding({ clients: 150_000, targetHost: '127.0.0.1' }, { systemFiles: 1e5 }),
    /fs.file-max/,
  );
  assert.match(binding({ clients: 50_000, targetHost: '10.0.0.1' }), /local ports: 28,232/);
  assert.is(binding({ clients: 50_000, targetHost: '127.0.0.1' }), 'fits');
  assert.match(binding({ clients: 50_000, targetHost: '::1' }), /local ports: 28,232/);
  assert.match(
    binding({ clients: 150_000 }, { freeBytes: 2 * GIB }),
    /^memory: about .* GiB are needed/,
  );
  assert.match(
    binding({ clients: 500_000 }),
    /^cores: .* it takes 26 generator processes, and 8 are the most/,
  );
});

test.run();
