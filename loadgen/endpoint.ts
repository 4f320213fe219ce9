/**
 * Where clients connect, and from which addresses: a connection is named by both of its ends, so one
 * source address has as many connections to one target as it has local ports, some 28,000. All of
 * 127.0.0.0/8 is this machine, so a target in that range is reached from as many addresses as it
 * takes; elsewhere there is the one that the system picks.
 */

/** Where to connect. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly isTls: boolean;
  /** Accept self-signed certificates (loopback tests). */
  readonly isInsecure: boolean;
  /** Address to connect from; absent = the system picks one. */
  readonly localAddress?: string;
}

/** Parses ws:// or wss://. Throws a sentence for anything else. */
export function parseEndpoint(url: string, options: { isInsecure: boolean }): Endpoint {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:')) {
    throw new Error(`${url} is not a ws:// or wss:// URL`);
  }
  const isTls = parsed.protocol === 'wss:';
  const port = parsed.port === '' ? (isTls ? 443 : 80) : Number(parsed.port);
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  const path = parsed.pathname === '/' ? '/v1/ws' : parsed.pathname;
  return { host, port, path, isTls, isInsecure: options.isInsecure };
}

/** Clients per source address: the usual range of ports, less what connections just closed hold. */
export const PORTS_PER_ADDRESS = 20_000;
const ADDRESSES_MAX = 254 * 254;

/** True for a host that is this machine, whatever its spelling. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || isLoopbackV4(host);
}

/** Connections to `host` that local ports allow, with `ports` of them for each source address. */
export function connectionsMax(host: string, ports: number): number {
  return isLoopbackV4(host) ? ADDRESSES_MAX * Math.min(ports, PORTS_PER_ADDRESS) : ports;
}

/** The endpoint as seen from each source address that `clients` clients need. */
export function endpointsFor(
  endpoint: Endpoint,
  clients: number,
  perAddress = PORTS_PER_ADDRESS,
): Endpoint[] {
  const endpoints = [endpoint];
  if (!isLoopbackV4(endpoint.host)) return endpoints;
  const count = Math.min(Math.ceil(clients / perAddress), ADDRESSES_MAX);
  for (let i = 1; i < count; i++) {
    const localAddress = `127.1.${Math.floor((i - 1) / 254) + 1}.${((i - 1) % 254) + 1}`;
    endpoints.push({ ...endpoint, localAddress });
  }
  return endpoints;
}

function isLoopbackV4(host: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(host);
}
