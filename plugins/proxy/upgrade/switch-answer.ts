import { writeHead } from '../answer/direct-answer.ts'
import { groupHeaders, mergeReplyHeaders } from '../forwarding/response-headers.ts'
import type { GatewayExchange } from '../gateway-exchange.ts'
import type { ResponseHead } from '../transport/index.ts'

/** A 101, as it goes to the client. */
export interface SwitchAnswer {
  readonly head: ResponseHead
  /** Flat pairs, without those that every switch has. */
  readonly pairs: string[]
  readonly protocol: string
}

/**
 * Sends a target's 101 to the client, after the response halves of the layers have seen it. `done` is told whether that
 * was the answer: a layer may throw, or set another status, and what it answers instead is on its way then.
 *
 * Hooks of others do not run for it: they change bodies, and there is none. Headers they have set before are sent.
 */
export function answerSwitch(exchange: GatewayExchange, answer: SwitchAnswer, done: (sent: boolean) => void): void {
  const { matched, onion, reply } = exchange
  const { head, pairs } = answer
  const { raw } = reply
  raw.statusCode = head.status
  if (onion === undefined || matched?.onion?.hasResponseHalf !== true) {
    send(exchange, answer, mergeReplyHeaders(pairs, reply.getHeaders()))
    done(true)
    return
  }
  const headers = groupHeaders(pairs)
  for (const [name, value] of headers) reply.header(name, value)
  onion.leave(null, (error, payload) => {
    if (error === null && raw.statusCode === head.status) {
      send(exchange, answer, mergeReplyHeaders([], reply.getHeaders()))
      done(true)
      return
    }
    for (const name of headers.keys()) reply.removeHeader(name)
    done(false)
    reply.send(error ?? payload)
  })
}

function send({ reply }: GatewayExchange, { head, protocol }: SwitchAnswer, pairs: string[]): void {
  const { raw } = reply
  reply.hijack()
  raw.sendDate = false
  writeHead(raw, head, [...pairs, 'connection', 'upgrade', 'upgrade', protocol])
  raw.flushHeaders()
}
