import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import balancer, {
  type Balancer,
  createBalancers,
  type StrategyFactory,
  type UpstreamOptions
} from '../plugins/balancer/index.ts'
import { InvalidConfigError, InvalidTargetError, UnknownStrategyError } from '../plugins/errors.ts'
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

for (const [name, options, message] of [
  [
    'a window as text',
    { slowStart: { window: '10s' } },
    'slowStart.window: found "10s", expected milliseconds, 0 or more'
  ],
  ['a negative window', { slowStart: { window: -1 } }, 'slowStart.window: found -1, expected milliseconds, 0 or more'],
  ['no number', { slowStart: { window: Number.NaN } }, 'slowStart.window: found NaN, expected milliseconds, 0 or more'],
  [
    'an aggression of 0',
    { slowStart: { aggression: 0 } },
    'slowStart.aggression: found 0, expected a number, more than 0'
  ],
  ['a share above 1', { slowStart: { minWeight: 2 } }, 'slowStart.minWeight: found 2, expected a number from 0 to 1'],
  [
    'a misspelt key',
    { slowStart: { windw: 1 } },
    'slowStart.windw: unknown key, expected one of: window, aggression, minWeight'
  ],
  ['a slow start that is a number', { slowStart: 10_000 }, 'slowStart: found 10000, expected a mapping'],
  ['a threshold in per cent', { panicThreshold: 50 }, 'panicThreshold: found 50, expected a number from 0 to 1'],
  ['half a connection', { maxConnections: 0.5 }, 'maxConnections: found 0.5, expected an integer, 0 or more']
] as const) {
  test(`an upstream with ${name} stops the boot`, async () => {
    // As code without types may have it.
    const upstreams: Record<string, UpstreamOptions> = {}
    Object.assign(upstreams, { users: options })

    await assert.rejects(
      async () => Fastify().register(balancer, { upstreams }),
      new InvalidConfigError(`upstreams.users.${message}`)
    )
  })
}

test('all faults of an upstream are told at once', () => {
  const balancers = createBalancers()

  assert.throws(
    () => balancers.add('users', { panicThreshold: -1, slowStart: { window: -1 } }),
    /users\.panicThreshold: [^\n]+\nupstreams\.users\.slowStart\.window: /
  )
  assert.deepEqual(balancers.names, [])
})
