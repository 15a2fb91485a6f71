import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { answerClientError } from '../plugins/proxy/index.ts'
import { eventually, RawClient, type RunningGateway, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

const server = { clientErrorHandler: answerClientError }

/** A target that answers only when told to, and the requests it has at a time. */
async function startHeldTarget(t: TestContext): Promise<{
  url: string
  urls: string[]
  open: Array<() => void>
}> {
  const urls: string[] = []
  const open: Array<() => void> = []
  const { url } = await startTarget(t, (request: IncomingMessage, response: ServerResponse) => {
    urls.push(`${request.method} ${request.url}`)
    request.resume()
    request.on('end', () => open.push(() => response.end(request.url)))
  })
  return { url, urls, open }
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
}

/** A gateway that counts the requests it has taken in. */
async function startCounting(t: TestContext, url: string): Promise<RunningGateway & { seen: () => number }> {
  let seen = 0
  const gateway = await startGateway(t, [url], {
    server,
    prepare: (app) => app.addHook('onRequest', async () => void seen++)
  })
  return { ...gateway, seen: () => seen }
}

test('a pipelined request reaches the target once the one before it is answered', async (t) => {
  const target = await startHeldTarget(t)
  const gateway = await startCounting(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(`${get('/1')}POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody${get('/3')}`)
  await eventually(() => gateway.seen() === 3 && target.open.length === 1, 'nothing arrives')

  assert.deepEqual(target.urls, ['GET /1'])
  target.open[0]?.()
  await eventually(() => target.open.length === 2, 'the second does not arrive')
  assert.deepEqual(target.urls, ['GET /1', 'POST /2'])
  target.open[1]?.()
  await eventually(() => target.open.length === 3, 'the third does not arrive')
  target.open[2]?.()
  assert.match(await client.until('/3'), /\r\n\r\n\/1HTTP[\s\S]*\r\n\r\n\/2HTTP[\s\S]*\r\n\r\n\/3$/)
})

test('five hundred pipelined requests are answered in their order', async (t) => {
  const target = await startTarget(t, (request, response) => response.end(`<${request.url}>`))
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  const paths = Array.from({ length: 500 }, (_, i) => `/${i}`)

  client.write(paths.map(get).join(''))
  await eventually(() => client.text.includes('</499>'), 'not all are answered', 20_000)

  assert.deepEqual(
    [...client.text.matchAll(/<(.*?)>/g)].map(([, path]) => path),
    paths
  )
})

test('a connection with many requests that wait is not read further', async (t) => {
  const target = await startHeldTarget(t)
  const gateway = await startCounting(t, target.url)
  const client = new RawClient(t, gateway.port)
  const requests = Array.from({ length: 20_000 }, (_, i) => get(`/${i}`))

  client.write(requests.join(''))
  await eventually(() => target.open.length === 1, 'nothing arrives')
  // More than enough turns to read all of it.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))

  // One read of 64 KiB beyond the bound.
  assert.ok(gateway.seen() < 4_000, `${gateway.seen()} requests were taken in`)
})

test('a connection that was not read for a while is read on, and every request answered', async (t) => {
  const target = await startTarget(t, (request, response) => response.end(`<${request.url}>`))
  const gateway = await startGateway(t, [target.url])
  const client = new RawClient(t, gateway.port)
  const last = 600
  const padding = 'x'.repeat(500)

  client.write(Array.from({ length: last + 1 }, (_, i) => get(`/${i}?${padding}`)).join(''))

  await eventually(() => client.text.includes(`</${last}?`), 'not all are answered', 20_000)
  assert.equal(client.text.match(/</g)?.length, last + 1)
})

test('requests that wait are forgotten when their client leaves', async (t) => {
  const target = await startHeldTarget(t)
  const gateway = await startCounting(t, target.url)
  const client = new RawClient(t, gateway.port)
  client.write(get('/1') + get('/2'))
  await eventually(() => gateway.seen() === 2 && target.open.length === 1, 'nothing arrives')

  client.socket.destroy()
  await gateway.idle()

  assert.deepEqual(target.urls, ['GET /1'])
})

test('a request that somebody answers while it waits is not forwarded', async (t) => {
  const target = await startHeldTarget(t)
  const attempts: unknown[] = []
  const gateway = await startGateway(t, [target.url], {
    prepare: (app) => {
      app.addHook('preHandler', async ({ url }, reply) => {
        if (url === '/2') setImmediate(() => reply.send('answered'))
      })
      app.addHook('onResponse', async ({ url, exchange }) => void attempts.push(`${url} ${exchange?.attempts}`))
    }
  })
  const client = new RawClient(t, gateway.port)

  client.write(get('/1') + get('/2') + get('/3'))
  await eventually(() => target.open.length === 1, 'nothing arrives')
  await new Promise((resolve) => setImmediate(resolve))
  target.open[0]?.()
  await eventually(() => target.open.length === 2, 'the third does not arrive')

  assert.deepEqual(target.urls, ['GET /1', 'GET /3'])
  assert.match(client.text, /\r\n\r\n\/1HTTP[\s\S]*\r\n\r\nanswered$/)
  assert.deepEqual(attempts, ['/1 1', '/2 0'])
})

test('garbage behind pipelined requests is answered after them', async (t) => {
  const target = await startHeldTarget(t)
  const gateway = await startCounting(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(`${get('/1')}${get('/2')}GET /3 HTTP/1.1\r\nno colon\r\n\r\n${get('/4')}`)
  await eventually(() => target.open.length === 1, 'nothing arrives')
  assert.equal(client.text, '')
  target.open[0]?.()
  await eventually(() => target.open.length === 2, 'the second does not arrive')
  target.open[1]?.()

  assert.match(
    await client.end(),
    /^HTTP\/1\.1 200 [\s\S]*\/1HTTP\/1\.1 200 [\s\S]*\/2HTTP\/1\.1 400 [\s\S]*BAD_REQUEST/
  )
  assert.deepEqual(target.urls, ['GET /1', 'GET /2'])
})

test('a pipelined request with a broken body never reaches the target', async (t) => {
  const target = await startHeldTarget(t)
  const gateway = await startCounting(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(`${get('/1')}POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n`)
  await eventually(() => target.open.length === 1, 'nothing arrives')
  target.open[0]?.()

  assert.match(await client.end(), /^HTTP\/1\.1 200 [\s\S]*\/1HTTP\/1\.1 400 [\s\S]*FST_GATEWAY_BAD_FRAMING/)
  assert.deepEqual(target.urls, ['GET /1'])
})

test('what follows a request that closes the connection is not answered, and does not harm its answer', async (t) => {
  const target = await startHeldTarget(t)
  const gateway = await startCounting(t, target.url)
  const client = new RawClient(t, gateway.port)

  client.write(`GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${get('/2')}`)
  await eventually(() => target.open.length === 1, 'nothing arrives')
  target.open[0]?.()

  assert.match(await client.end(), /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n\/1$/)
  assert.deepEqual(target.urls, ['GET /1'])
})
