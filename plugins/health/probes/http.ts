import type { UpstreamConfig } from '../../config/index.ts'
import { authorityOf, dial } from './dial.ts'
import { sendHttp1 } from './http1.ts'
import { sendHttp2 } from './http2.ts'
import type { Answer, CheckRules, Probe } from './types.ts'

/** How the checks of HTTP and gRPC are known in the logs of targets. */
export const USER_AGENT = 'fastify-gateway-health'

/** A target is well that answers a request as it should. Redirects are not followed: their status is judged. */
export function createHttpProbe(rules: CheckRules, tls: UpstreamConfig['tls'], isHttp2: boolean): Probe {
  const { port, method = 'GET', path = '/', bodyLimit } = rules
  const { host, ...headers } = rules.headers
  const send = isHttp2 ? sendHttp2 : sendHttp1
  const judge = createJudge(rules)
  return (target, done) => {
    const socket = dial(target, port, tls, isHttp2 ? 'h2' : 'http/1.1')
    const scheme = target.protocol === 'https:' ? 'https' : 'http'
    const authority = host ?? authorityOf(target, port)
    const request = { method, scheme, authority, path, headers: { 'user-agent': USER_AGENT, ...headers } } as const
    return send(socket, request, bodyLimit, judge, done)
  }
}

/** As long as nothing else is asked for: whatever is no error (Traefik, Caddy, nginx Plus agree). */
const USUAL = [{ from: 200, to: 399 }]

function createJudge({ status: ranges = USUAL, body }: CheckRules): (answer: Answer) => string | undefined {
  const pattern = body?.kind === 'regex' ? new RegExp(body.value) : undefined
  return ({ status, content }) => {
    if (!ranges.some(({ from, to }) => status >= from && status <= to)) return `status ${status}`
    if (body === undefined) return undefined
    const text = content.toString()
    const isMatch = pattern === undefined ? text.includes(body.value) : pattern.test(text)
    return isMatch ? undefined : 'the body does not match'
  }
}
