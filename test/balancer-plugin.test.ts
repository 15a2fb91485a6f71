import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import balancer, { type Balancer, type StrategyFactory } from '../plugins/balancer/index.ts'
import { InvalidTargetError, UnknownStrategyError } from '../plugins/errors.ts'
import { scripted } from './balancer-helper.ts'

test('the plugin works alone', async (t) => {
  const app = Fastify()
  t.after(() => app.close())

  await app.register(balancer, { upstreams: { users: { targets: ['http://127.0.0.1:3001'] } } })

  const users: Balancer = app.balancers.get('users')
  assert.equal(users.get()?.url, 'http://127.0.0.1:3001')
})

test('the plugin works without options', async (t) => {
  const app = Fastify()
  t.after(() => app.close())

  await app.register(balancer)
  app.balancers.add('late', { targets: ['http://127.0.0.1:3001'] })

  assert.deepEqual(app.balancers.names, ['late'])
})

test('the balancers are seen by routes in other scopes', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(balancer, { upstreams: { users: { targets: ['http://h1', 'http://h2'] } } })
  app.register(async (scope) => {
    scope.get('/', async () => scope.balancers.get('users').get()?.url)
  })

  const bodies = [await app.inject('/'), await app.inject('/')].map(({ body }) => body)

  assert.deepEqual(bodies, ['http://h1', 'http://h2'])
})

test('strategies of the options are there for the upstreams of the options', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const seen: unknown[] = []
  const factory: StrategyFactory = {
    name: 'probe',
    create(options, deps) {
      seen.push(options, deps.now(), deps.random())
      return { add() {}, remove() {}, get: () => undefined }
    }
  }

  await app.register(balancer, {
    strategies: [factory],
    upstreams: { users: { strategy: { name: 'probe', depth: 2 } } },
    now: () => 7,
    random: scripted([0.25, 0.5])
  })

  assert.deepEqual(seen, [{ depth: 2 }, 7, 0.25, { depth: 2 }, 7, 0.5])
})

test('without a clock and randomness of the options, the real ones are used', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const seen: number[] = []
  const factory: StrategyFactory = {
    name: 'probe',
    create(_options, deps) {
      seen.push(deps.random(), deps.now())
      return { add() {}, remove() {}, get: () => undefined }
    }
  }

  await app.register(balancer, { strategies: [factory], upstreams: { users: { strategy: 'probe' } } })

  const [draw = -1, time = -1, , later = -1] = seen
  assert.ok(draw >= 0 && draw < 1)
  assert.ok(time > 0 && later >= time)
})

test('a fault in the options stops the boot', async () => {
  await assert.rejects(
    async () => Fastify().register(balancer, { upstreams: { users: { strategy: 'nope' } } }),
    UnknownStrategyError
  )
  await assert.rejects(
    async () => Fastify().register(balancer, { upstreams: { users: { targets: ['h1'] } } }),
    InvalidTargetError
  )
})
