import type { IncomingMessage, Server, ServerResponse } from 'node:http'

/** Has a listener see each request before whoever answers it, also one that waits for 100 (Continue). */
export function prependRequestListener(
  server: Server,
  listener: (request: IncomingMessage, response: ServerResponse) => void
): void {
  server.prependListener('request', listener)
  // Node.js answers the expectation itself as long as nobody listens.
  if (server.listenerCount('checkContinue') > 0) server.prependListener('checkContinue', listener)
}
