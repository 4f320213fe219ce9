/**
 * The live page's HTTP server. Two answers: `/` is the page, `/events` what happens, as server-sent events.
 *
 * Bound to 127.0.0.1 and to nothing else. A page elsewhere could still make a browser ask for it, under a
 * name of its own that it lets point to this machine: so a request must name this machine in its Host
 * header, and events go to pages of this origin only. The number of listeners is bounded, and one that
 * does not read what it is sent is dropped: nobody who watches a run may hold it up.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pagePolicy } from '../report/page-html.ts';

const LISTENERS_MAX = 8;
const CONNECTIONS_MAX = 32;
const UNREAD_BYTES_MAX = 8 * 2 ** 20;
const REQUEST_TIMEOUT_MS = 5000;
const BEAT_MS = 10_000;
/** How long listeners are waited for at the end, so that they get the last event. */
const FAREWELL_MS = 1000;

export interface PageServerOptions {
  /** 0 = any that is free. */
  readonly port: number;
  /** Whether another port will do where this one is taken. */
  readonly mayMove: boolean;
  readonly page: () => string;
  /** What a new listener is told first. */
  readonly greeting: () => object;
}

export class PageServer {
  readonly port: number;
  private readonly server: Server;
  private readonly options: PageServerOptions;
  private readonly listeners = new Set<ServerResponse>();
  private readonly beat: NodeJS.Timeout;

  private constructor(server: Server, options: PageServerOptions) {
    this.server = server;
    this.options = options;
    this.port = (server.address() as AddressInfo).port;
    server.on('request', (request, response) => this.answer(request, response));
    this.beat = setInterval(() => this.write(': still here\n\n'), BEAT_MS).unref();
  }

  /** Rejects when the port is taken and no other will do. */
  static async listen(options: PageServerOptions): Promise<PageServer> {
    // Connections that say nothing are looked for every second, or a few of them would shut everybody out.
    const server = createServer({ connectionsCheckingInterval: 1000 });
    server.maxConnections = CONNECTIONS_MAX;
    server.requestTimeout = server.headersTimeout = REQUEST_TIMEOUT_MS;
    const listen = (port: number): Promise<void> =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', () => {
          server.off('error', reject);
          resolve();
        });
      });
    try {
      await listen(options.port);
    } catch (error) {
      if (!options.mayMove) throw error;
      await listen(0);
    }
    server.unref();
    return new PageServer(server, options);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  send(event: object): void {
    if (this.listeners.size > 0) this.write(eventText(event));
  }

  /** Says goodbye to everybody and closes. */
  async close(): Promise<void> {
    clearInterval(this.beat);
    const gone = [...this.listeners].map(
      (listener) => new Promise<void>((resolve) => listener.once('close', () => resolve()).end()),
    );
    const late = new Promise<void>((resolve) => setTimeout(resolve, FAREWELL_MS).unref());
    await Promise.race([Promise.all(gone), late]);
    this.server.close();
    this.server.closeAllConnections();
  }

  private write(text: string): void {
    for (const listener of this.listeners) {
      if (listener.writableLength > UNREAD_BYTES_MAX) listener.destroy();
      else listener.write(text);
    }
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const refuse = (status: number, why: string, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { ...this.headers('text/plain; charset=utf-8'), ...headers });
      response.end(`${why}\n`);
    };
    const { method, headers, url } = request;
    if (!this.isHere(headers.host)) {
      refuse(403, `this is the live page of ackbench: open ${this.url}`);
    } else if (method !== 'GET' && method !== 'HEAD') {
      refuse(405, 'only GET', { allow: 'GET, HEAD' });
    } else if (url === '/') {
      response.writeHead(200, this.headers('text/html; charset=utf-8'));
      response.end(method === 'HEAD' ? undefined : this.options.page());
    } else if (url === '/events' && method === 'GET') {
      const site = headers['sec-fetch-site'];
      if (site !== undefined && site !== 'same-origin') refuse(403, 'for the live page only');
      else if (this.listeners.size >= LISTENERS_MAX) {
        refuse(503, `${LISTENERS_MAX} pages listen already`, { 'retry-after': '5' });
      } else this.listen(response);
    } else {
      refuse(404, 'there is only /');
    }
  }

  private listen(response: ServerResponse): void {
    response.writeHead(200, this.headers('text/event-stream'));
    response.on('error', () => {}); // gone: the close that follows takes it off
    response.on('close', () => this.listeners.delete(response));
    this.listeners.add(response);
    response.write(`retry: 1000\n\n${eventText(this.options.greeting())}`);
  }

  private isHere(host: string | undefined): boolean {
    return host === `127.0.0.1:${this.port}` || host === `localhost:${this.port}`;
  }

  private headers(contentType: string): Record<string, string> {
    return {
      'content-type': contentType,
      'content-security-policy': `${pagePolicy({ isLive: true })}; frame-ancestors 'none'`,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
    };
  }
}

function eventText(event: object): string {
  return `data: ${JSON.stringify(event)}\n\n`;
}
