import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import gateway from '../app.ts'
import { eventually, send, type UpstreamSketch } from './forwarding-helper.ts'
import { portOf, startTarget } from './helper.ts'
import { createApp } from './plugin-helper.ts'

interface Named {
  url: string
  /** Requests for its health. */
  checks: number
  /** What it answers to them. */
  status: number
  /** Whether it answers any other request with 500. */
  isFailing: boolean
}

/** A target that says its name, and has its health at `/health`. */
async function startChecked(t: TestContext, name: string, status = 200): Promise<Named> {
  const named: Named = { url: '', checks: 0, status, isFailing: false }
  const { url } = await startTarget(t, (request, response) => {
    if (request.url === '/health') {
      named.checks++
      response.writeHead(named.status, { location: '/fine' }).end()
    } else response.writeHead(named.isFailing ? 500 : 200).end(name)
  })
  named.url = url
  return named
}

/** The whole gateway, with one upstream. */
async function start(t: TestContext, upstream: UpstreamSketch) {
  const app = createApp(t)
  const told: string[] = []
  await app.register(gateway, {
    upstreams: { users: upstream },
    routes: [{ match: { path: '/*' }, upstream: 'users' }]
  })
  app.health.on('change', ({ what, target }) => told.push(`${what} ${target}`))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const port = portOf(app.server)
  const ask = async () => (await send(port, { path: '/' })).body.toString()
  return { app, port, told, ask }
}

const often = { path: '/health', interval: '20ms', jitter: 0 } as const

test('only those targets are checked that are to be', async (t) => {
  // Source: HAProxy, reg-tests checks/1be_40srv_odd_health_checks.vtc: 40 servers, of which the odd ones have `check`.
  const targets = await Promise.all(Array.from({ length: 40 }, (_, index) => startChecked(t, `s${index}`)))
  const list = targets.map(({ url }, index) => ({ url, check: index % 2 === 1 }))
  await start(t, { targets: list, health: { active: often } })

  await eventually(() => targets.every(({ checks }, index) => index % 2 === 0 || checks >= 2), 'some are not checked')

  assert.deepEqual(
    targets.filter(({ checks }, index) => index % 2 === 0 && checks > 0),
    []
  )
})

test('a redirect of the health endpoint is not followed, and is healthy only where 3xx is', async (t) => {
  // Source: Traefik, TestServiceHealthChecker_checkHealthHTTP_NotFollowingRedirects.
  const target = await startChecked(t, 'a', 302)
  const lax = await start(t, { targets: [target.url], health: { active: often } })
  await eventually(() => lax.told.length > 0, 'no check has ended')
  const strict = await start(t, {
    targets: [target.url],
    panicThreshold: 0,
    health: { active: { ...often, status: ['200-299'], fall: 1 } }
  })
  await eventually(() => strict.told.length > 0, 'no check has ended')

  assert.deepEqual(lax.told, [`healthy ${target.url}`])
  assert.deepEqual(strict.told, [`unhealthy ${target.url}`])
})

test('requests leave an unhealthy target out until it is healthy again', async (t) => {
  const [a, b] = [await startChecked(t, 'a'), await startChecked(t, 'b')]
  const { ask, told, app } = await start(t, {
    targets: [a.url, b.url],
    health: { active: { ...often, fall: 2, rise: 2 } }
  })
  await eventually(() => told.length === 2, 'not all are healthy')

  b.status = 500
  await eventually(() => told.includes(`unhealthy ${b.url}`), 'b stays healthy')
  const during = [await ask(), await ask(), await ask(), await ask()]
  const { events } = app.health.snapshot().users ?? assert.fail()
  b.status = 200
  await eventually(() => told.length === 4, 'b stays unhealthy')
  const after = new Set([await ask(), await ask()])

  assert.deepEqual(during, ['a', 'a', 'a', 'a'])
  assert.deepEqual(events, { healthy: 2, unhealthy: 1 })
  assert.deepEqual([...after].sort(), ['a', 'b'])
})

test('an ejection ends early when checks have seen the target go and come back', async (t) => {
  const [a, b] = [await startChecked(t, 'a'), await startChecked(t, 'b')]
  const { ask, told } = await start(t, {
    targets: [a.url, b.url],
    panicThreshold: 0,
    health: { active: { ...often, fall: 3, rise: 1 }, passive: { enabled: true, consecutiveFailures: 1 } }
  })
  await eventually(() => told.length === 2, 'not all are healthy')

  b.isFailing = true
  while (!told.includes(`ejected ${b.url}`)) await ask()
  b.status = 500
  await eventually(() => told.includes(`unhealthy ${b.url}`), 'b stays healthy')
  const before = told.length
  b.isFailing = false
  b.status = 200
  await eventually(() => told.length === before + 2, 'b stays out')

  assert.deepEqual(told.slice(before), [`healthy ${b.url}`, `readmitted ${b.url}`])
  assert.deepEqual([await ask(), await ask()].sort(), ['a', 'b'])
})

test('with no healthy target left, all are used in a panic, or none where there is no panic', async (t) => {
  const a = await startChecked(t, 'a', 500)
  const unhealthy = `unhealthy ${a.url}`
  const active = { ...often, fall: 1 }
  const panicking = await start(t, { targets: [a.url], health: { active } })
  const strict = await start(t, { targets: [a.url], panicThreshold: 0, health: { active } })
  await eventually(() => [panicking, strict].every(({ told }) => told.includes(unhealthy)), 'a is healthy')

  const [used, refused] = [await send(panicking.port), await send(strict.port)]

  assert.equal(used.body.toString(), 'a')
  assert.equal(refused.status, 503)
  // Nobody outside learns where targets are.
  assert.equal(refused.body.toString().includes(new URL(a.url).port), false)
})

test('where a first success is required, requests are refused until there is one', async (t) => {
  const a = await startChecked(t, 'a', 503)
  const { ask, port, told } = await start(t, { targets: [a.url], health: { active: { ...often, required: true } } })
  await eventually(() => a.checks > 0, 'no check')
  const before = await send(port)

  a.status = 200
  await eventually(() => told.includes(`healthy ${a.url}`), 'a is not healthy')

  assert.equal(before.status, 503)
  assert.equal(await ask(), 'a')
})

test('after the gateway has closed, targets are left alone', async (t) => {
  let isSilent = false
  const { url, sockets } = await startTarget(t, (request, response) => {
    if (request.url !== '/health' || !isSilent) response.end('a')
  })
  const { app, told } = await start(t, { targets: [url], health: { active: often } })
  await eventually(() => told.length === 1, 'no check has ended')
  isSilent = true
  await eventually(() => sockets.size > 0, 'no check is under way')

  await app.close()

  await eventually(() => sockets.size === 0, 'a check is under way')
})
