import { Pool } from 'undici'
import { CONNECTIONS, type Start, serve } from './serve.ts'

/** undici's dispatch into the response, and nothing else. */
export const undici: Start = (options) => {
  const pool = new Pool(options.base, { connections: CONNECTIONS })
  serve(options, (request, response) => {
    const { method = 'GET', url: path = '/', headers } = request
    const body = method === 'GET' ? null : request
    pool.stream(
      { method, path, headers: forwardable(headers), body },
      ({ statusCode, headers: fields }) => {
        return response.writeHead(statusCode, forwardable(fields))
      },
      () => {}
    )
  })
}

function forwardable<T extends Record<string, unknown>>(headers: T): Omit<T, 'connection' | 'keep-alive'> {
  const { connection: _connection, 'keep-alive': _keepAlive, ...others } = headers
  return others
}
