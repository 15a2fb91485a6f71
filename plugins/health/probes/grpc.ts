import type { UpstreamConfig } from '../../config/index.ts'
import { authorityOf, dial } from './dial.ts'
import { decodeHealthResponse, encodeHealthRequest } from './grpc-message.ts'
import { USER_AGENT } from './http.ts'
import { sendHttp2 } from './http2.ts'
import type { Answer, CheckRules, Probe } from './types.ts'

const PATH = '/grpc.health.v1.Health/Check'
const MESSAGE_LIMIT = 1024
/** The specification allows no more than eight digits. */
const LONGEST_TIMEOUT = 99_999_999

/**
 * A target is well that says so by the health checking protocol of gRPC, over HTTP/2.
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export function createGrpcProbe(rules: CheckRules, tls: UpstreamConfig['tls']): Probe {
  const { port, service = '', timeout } = rules
  const { host, ...headers } = rules.headers
  const content = encodeHealthRequest(service)
  const fields = {
    'user-agent': USER_AGENT,
    ...headers,
    te: 'trailers',
    'content-type': 'application/grpc',
    'grpc-timeout': `${Math.min(LONGEST_TIMEOUT, timeout)}m`
  }
  return (target, done) => {
    const socket = dial(target, port, tls, 'h2')
    const scheme = target.protocol === 'https:' ? 'https' : 'http'
    const authority = host ?? authorityOf(target, port)
    const request = { method: 'POST', scheme, authority, path: PATH, headers: fields, content } as const
    return sendHttp2(socket, request, MESSAGE_LIMIT, judge, done)
  }
}

function judge({ status, field, content }: Answer): string | undefined {
  if (status !== 200) return `status ${status}`
  const code = field('grpc-status')
  if (code !== '0') return code === undefined ? 'no grpc-status' : `grpc-status ${code}`
  const serving = decodeHealthResponse(content)
  if (serving === 'SERVING') return undefined
  return serving ?? 'the answer is malformed'
}
