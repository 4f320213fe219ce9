/**
 * The raw echo server: what a WebSocket message costs with nothing behind it. Every packet goes back
 * as it came. It says its port over the channel to the runner and ends with that channel.
 */
import * as uWS from 'uWebSockets.js';

uWS
  .App()
  .ws('/*', {
    maxPayloadLength: 1 << 20,
    maxBackpressure: 1 << 26,
    message: (ws, message, isBinary) => {
      ws.send(message, isBinary);
    },
  })
  .listen('127.0.0.1', 0, (listening) => {
    process.send?.(listening === false ? 0 : uWS.us_socket_local_port(listening));
  });

process.on('disconnect', () => process.exit());
