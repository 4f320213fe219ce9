/** The door of server/: the reference server and its commands. */
export { main } from './main.ts';
export { type RunningServer, type ServerOptions, startServer } from './server.ts';
export { type ServerConfig, loadServerConfig } from './config.ts';
export { mintToken } from './auth.ts';
export { openLmdbStore } from './stores/lmdb-store.ts';
export { createMemoryStore } from './stores/memory-store.ts';
export type * from './stores/store.ts';
