import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { runInThisContext } from 'node:vm'
import Fastify from 'fastify'
import diagnostics from '../plugins/diagnostics/index.ts'

// A program for diagnostics to look into: run by tests, with the options as JSON in the first argument.
const app = Fastify({ trustProxy: true })
await app.register(diagnostics, JSON.parse(process.argv[2] ?? '{}'))

const sessions: Record<string, unknown> = {}
const seen = new Map<string, object>()
const owners = new WeakMap<object, string>()
const kept: unknown[] = []

app.get('/remember', (request) => {
  const { cookie = '', authorization = '' } = request.headers
  const session = cookie.slice(cookie.indexOf('=') + 1)
  const owner = { name: 'somebody' }
  sessions[session] = owner
  seen.set(`${authorization}!`, owner)
  owners.set(owner, authorization.slice('Bearer '.length))
  kept.push(request.raw.rawHeaders, { authorization }, `${cookie}; more`, [session])
  return owners.has(owner)
})

app.get('/busy', function busyHandler(request) {
  const { headers } = request
  const { rawHeaders } = request.raw
  const token = headers.authorization
  const { DATABASE_URL: database, QUOTED: quoted } = process.env
  const order = { id: 7, customer: 'ann' }
  // The source may have a secret, too: token: planted-in-a-comment
  return (
    calledFrom(() => waitFor(order, String(request.headers['x-file']))) &&
    [headers, rawHeaders, token, database, quoted].length
  )
})

/** Calls it from a script whose name has a secret. */
const calledFrom: (work: () => boolean) => boolean = runInThisContext('(work) => work()', {
  filename: 'file:///orders.js?token=planted-in-a-name'
})

/** Blocks the event loop until there is such a file. */
function waitFor(order: { id: number }, file: string): boolean {
  let turns = 0
  while (!existsSync(file)) turns += order.id
  return turns > 0
}

app.get('/regex', function slowRegex() {
  const input = `${'a'.repeat(60)}b`
  return /^(a+)+$/.test(input)
})

app.get('/throw', (request) => {
  const orderId = 41
  setImmediate(function failLater() {
    const cause = Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
    const text = `no order ${orderId}; authorization: ${request.headers.authorization}`
    throw Object.assign(new Error(text, { cause }), { code: 'ORDER_UNKNOWN', cookie: request.headers.cookie })
  })
  return 'thrown'
})

app.get('/reject', () => {
  const orderId = 42
  setImmediate(async function rejectLater() {
    await Promise.resolve()
    throw new Error(`no order ${orderId}`)
  })
  return 'rejected'
})

app.get('/reject-object', () => {
  const orderId = 45
  setImmediate(async function rejectObject() {
    await Promise.resolve()
    throw { orderId }
  })
  return 'rejected'
})

app.get('/throw-trap', () => {
  setImmediate(() => {
    const get = () => {
      throw new Error('this one has no message')
    }
    throw Object.defineProperty(new Error('no order 46'), 'message', { get })
  })
  return 'thrown'
})

app.get('/not-thrown', () => {
  // V8 takes the first for uncaught. The second is not thrown, so that there are no variables of it.
  process.once('unhandledRejection', () => {})
  setImmediate(handledByProcess)
  setImmediate(() => {
    EventEmitter.prototype.emit.call(process, 'uncaughtExceptionMonitor', new Error('no order 44'), 'uncaughtException')
    process.exit(1)
  })
  return 'rejected'
})

async function handledByProcess(): Promise<void> {
  throw new Error('no order 43')
}

app.get('/caught', async () => {
  throw Object.assign(new Error('a handler threw, and Fastify answers'), { statusCode: 418 })
})

app.get('/leak', () => {
  const orders: object[] = []
  for (;;) orders.push({ id: orders.length, lines: new Array(100).fill(orders.length) })
})

await app.listen({ host: '127.0.0.1', port: 0 })
process.on('message', () => void app.close().then(() => process.disconnect()))
process.send?.({ url: `http://127.0.0.1:${addressPort()}`, diagnostics: app.diagnostics?.address ?? '' })

function addressPort(): number {
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
