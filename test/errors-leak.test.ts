import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { foreignHook, RawClient, script, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { fixture, freePort, startRawTarget } from './helper.ts'

const { cert } = fixture<{ cert: string }>('localhost-tls.json')
// What a target may say of itself in an answer that is not passed on.
const SECRET = 'secret.internal'
const DEAD = { connect: 1_000, response: 60, idle: 0, total: 0 }

interface Failure {
  name: string
  status: number
  upstream?: UpstreamSketch
  /** What the target does with a request; without it there is no target. */
  answer?: (socket: Socket) => void
  scheme?: 'http' | 'https'
}

const failures: Failure[] = [
  { name: 'a target that refuses', status: 502 },
  { name: 'a target that resets', status: 502, answer: (socket) => socket.resetAndDestroy() },
  { name: 'a target that closes', status: 502, answer: (socket) => socket.end() },
  {
    name: 'a malformed status line',
    status: 502,
    answer: (socket) => socket.end(`${SECRET} 200 OK\r\n\r\n`)
  },
  {
    name: 'a malformed header',
    status: 502,
    answer: (socket) => socket.end(`HTTP/1.1 200 OK\r\n${SECRET} : x\r\n\r\n`)
  },
  {
    name: 'a cut head',
    status: 502,
    answer: (socket) => socket.end(`HTTP/1.1 200 OK\r\nServer: ${SECRET}\r\n`)
  },
  {
    name: 'conflicting lengths',
    status: 502,
    answer: (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n')
  },
  {
    name: 'a head that is too large',
    status: 502,
    answer: (socket) => socket.end(`HTTP/1.1 200 OK\r\nX: ${SECRET}${'x'.repeat(70_000)}\r\n\r\n`)
  },
  { name: 'a target that does not answer', status: 504, answer: () => {}, upstream: { timeouts: DEAD } },
  {
    name: 'an exchange that takes too long',
    status: 504,
    answer: () => {},
    upstream: { timeouts: { ...DEAD, response: 0, total: 60 } }
  },
  { name: 'a certificate of another host', status: 502, scheme: 'https', upstream: { tls: { ca: cert } } },
  { name: 'an upstream without targets', status: 503, upstream: { targets: [] } }
]

for (const { name, status, upstream = {}, answer, scheme = 'http' } of failures) {
  for (const hooked of [false, true]) {
    test(`the answer to ${name} tells nothing of the target ${hooked ? 'with an onSend hook' : 'without hooks'}`, async (t) => {
      const { onSocket } = script((socket) => answer?.(socket))
      const url =
        answer === undefined ? `http://127.0.0.1:${await freePort()}` : (await startRawTarget(t, onSocket)).url
      const gateway = await startGateway(t, [url.replace('http', scheme)], {
        upstream: { retry: { attempts: 0 }, ...upstream },
        ...(hooked ? { prepare: foreignHook } : {})
      })
      const client = new RawClient(t, gateway.port)

      client.write('GET /users/7?q HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n')
      const text = await client.end()

      assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `))
      assert.match(text, /"code":"FST_GATEWAY_\w+"/)
      assert.doesNotMatch(
        text,
        new RegExp(`127\\.0|:${new URL(url).port}|localhost|${SECRET}|\\bE[A-Z]{4,}|\\.[jt]s:|node:`)
      )
    })
  }
}
