import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import Fastify, { type FastifyPluginAsync, LogController } from 'fastify'
import pretty from 'pino-pretty'
import { accessLog } from '../plugins/middleware/index.ts'
import proxy from '../plugins/proxy/index.ts'
import { RawClient } from './forwarding-helper.ts'
import { portOf, startTarget } from './helper.ts'
import { connectHttp2, sendHttp2 } from './http2-helper.ts'

// Line breaks that would begin an entry of their own, and what terminals take for commands: ESC, and CSI as one byte.
const FORGED = '{"level":30,"msg":"forged"}'
const requests: { name: string; head: string }[] = [
  { name: 'escaped line breaks', head: `GET /ok/%0d%0a${FORGED} HTTP/1.1\r\nHost: gw` },
  { name: 'escaped commands', head: 'GET /ok/%1b[31m%C2%9b31m?%1b[2J HTTP/1.1\r\nHost: gw' },
  { name: 'commands as bytes in the path', head: 'GET /ok/\x9b31m\x85 HTTP/1.1\r\nHost: gw' },
  { name: 'commands as bytes in the query', head: 'GET /ok/?\x9b31m\xe2\x80\xa8 HTTP/1.1\r\nHost: gw' },
  { name: 'ESC in the path', head: 'GET /ok/\x1b[31m HTTP/1.1\r\nHost: gw' },
  { name: 'a lone CR in the path', head: `GET /ok/\r${FORGED} HTTP/1.1\r\nHost: gw` },
  { name: 'ESC and CSI in headers', head: 'GET /ok/ua HTTP/1.1\r\nHost: gw\r\nUser-Agent: \x1b[31m\x9b31m' },
  { name: 'CSI in the Host', head: 'GET /ok/host HTTP/1.1\r\nHost: gw\x9b31m' },
  { name: 'a line break in a method', head: `GET\n${FORGED} /ok HTTP/1.1\r\nHost: gw` },
  { name: 'quotes and braces', head: `GET /ok/"},${FORGED} HTTP/1.1\r\nHost: gw` },
  { name: 'a folded header', head: `GET /ok/fold HTTP/1.1\r\nHost: gw\r\nX: a\r\n ${FORGED}` }
]

/** Options of an app that logs for us, and what it has logged. */
function logging(form: 'JSON' | 'pretty') {
  const written: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk))
      done()
    }
  })
  const options = {
    logger: {
      level: 'trace',
      stream: form === 'JSON' ? sink : pretty({ destination: sink, colorize: false, sync: true })
    },
    // What Fastify logs of a request by itself is not the gateway's.
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true
  } as const
  return { options, log: () => written.join('') }
}

/** A gateway with an access log. */
async function gateway(t: TestContext): Promise<FastifyPluginAsync> {
  const target = await startTarget(t, (_request, response) => response.end())
  return async (app) => {
    await app.register(proxy, {
      upstreams: { users: { targets: [target.url] } },
      routes: [{ match: { path: '/ok/*' }, upstream: 'users' }],
      layers: [accessLog()]
    })
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a log must not hold.
const COMMANDS = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/

for (const form of ['JSON', 'pretty'] as const) {
  test(`nothing a client sends forges a line of the log, or commands the terminal that shows it: ${form}`, async (t) => {
    const { options, log } = logging(form)
    const app = Fastify(options)
    app.register(await gateway(t))
    t.after(() => app.close())
    await app.listen({ host: '127.0.0.1', port: 0 })

    for (const { name, head } of requests) {
      const client = new RawClient(t, portOf(app.server))
      client.write(`${head}\r\nConnection: close\r\n\r\n`)
      assert.match(await client.end(), /^HTTP\/1\.1 [245]\d\d /, name)
    }
    await app.close()

    assert.doesNotMatch(log(), COMMANDS)
    assert.match(log(), /\/ok\/%0d%0a/)
    assert.doesNotMatch(log(), /^.{0,30}forged/m)
    if (form === 'JSON') for (const line of log().trim().split('\n')) assert.notEqual(JSON.parse(line).msg, 'forged')
  })
}

test('bytes of a path that a client of HTTP/2 does not escape are escaped in the access log', async (t) => {
  const { options, log } = logging('JSON')
  const app = Fastify({ ...options, http2: true })
  app.register(await gateway(t))
  t.after(() => app.close())
  await app.listen({ host: '127.0.0.1', port: 0 })
  const session = connectHttp2(portOf(app.server))

  await sendHttp2(session, { ':path': '/ok/\x9b31m?\x85' })
  session.destroy()
  await app.close()

  assert.doesNotMatch(log(), COMMANDS)
  assert.match(log(), /"\/ok\/%9B31m\?%85"/)
})
