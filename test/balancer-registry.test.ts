import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBalancers, type StrategyFactory, type UpstreamOptions } from '../plugins/balancer/index.ts'
import {
  DuplicateStrategyError,
  DuplicateTargetError,
  DuplicateUpstreamError,
  InvalidStrategyError,
  UnknownStrategyError,
  UnknownUpstreamError
} from '../plugins/errors.ts'
import { sequence } from './balancer-helper.ts'

const BUILT_IN = [
  'round-robin',
  'smooth-weighted-round-robin',
  'least-connections',
  'p2c',
  'least-response-time',
  'peak-ewma',
  'consistent-hash',
  'bounded-consistent-hash',
  'maglev',
  'rendezvous',
  'jump-hash',
  'hash',
  'ip-hash',
  'random',
  'sticky'
]
const idle: StrategyFactory = { name: 'idle', create: () => ({ add() {}, remove() {}, get: () => undefined }) }

test('the built-in strategies are there from the start', () => {
  assert.deepEqual(createBalancers().strategies.names, BUILT_IN)
})

test('an added strategy is found by its name', () => {
  const { strategies } = createBalancers()

  strategies.add(idle)

  assert.equal(strategies.get('idle'), idle)
  assert.deepEqual(strategies.names, [...BUILT_IN, 'idle'])
})

test('an unknown strategy is named in the error, with those that are known', () => {
  const { strategies } = createBalancers()

  assert.throws(() => strategies.get('round-robbin'), new UnknownStrategyError('round-robbin', BUILT_IN.join(', ')))
})

test('a strategy name is taken once, built-in names included', () => {
  const { strategies } = createBalancers({ strategies: [idle] })

  assert.throws(() => strategies.add(idle), new DuplicateStrategyError('idle'))
  assert.throws(() => strategies.add({ ...idle, name: 'random' }), new DuplicateStrategyError('random'))
})

const misshapen: { name: string; factory: unknown; reason: RegExp }[] = [
  {
    name: 'nothing',
    factory: undefined,
    reason: /'undefined' is invalid: its name must be a string that is not empty/
  },
  { name: 'no name', factory: { create: idle.create }, reason: /'undefined' is invalid: its name must be a string/ },
  { name: 'an empty name', factory: { name: '', create: idle.create }, reason: /'' is invalid: its name/ },
  { name: 'no create()', factory: { name: 'x' }, reason: /'x' is invalid: it has no create\(\)/ }
]
for (const { name, factory, reason } of misshapen) {
  test(`a strategy with ${name} is refused when it is added`, () => {
    const { strategies } = createBalancers()

    assert.throws(() => Reflect.apply(strategies.add, strategies, [factory]), refusal(reason))
  })
}

for (const missing of ['add', 'remove', 'get']) {
  test(`a strategy that has no ${missing}() is refused when an upstream is added`, () => {
    const { [missing]: _, ...rest } = { add() {}, remove() {}, get() {} } as Record<string, unknown>
    const factory = { name: 'x', create: () => rest }
    const balancers = createBalancers()
    Reflect.apply(balancers.strategies.add, balancers.strategies, [factory])

    assert.throws(() => balancers.add('a', { strategy: 'x' }), refusal(new RegExp(`no ${missing}\\(\\)`)))
  })
}

for (const strategy of BUILT_IN) {
  test(`${strategy} refuses an option it does not know`, () => {
    const balancers = createBalancers()

    assert.throws(
      () => balancers.add('a', { strategy: { name: strategy, wieght: 1 } }),
      refusal(new RegExp(`'${strategy}' is invalid: unknown option 'wieght'`))
    )
  })
}

test('least-connections refuses a compat it does not know', () => {
  const strategy = { name: 'least-connections', compat: 'haproxy' }

  assert.throws(
    () => createBalancers().add('a', { strategy }),
    new InvalidStrategyError('least-connections', `compat must be 'nginx', found "haproxy"`)
  )
})

const choices: { name: string; strategy: UpstreamOptions['strategy']; expected: string }[] = [
  { name: 'none is round robin', strategy: undefined, expected: 'a,b,a,b' },
  { name: 'by name', strategy: 'smooth-weighted-round-robin', expected: 'a,a,b,a' },
  {
    name: 'with options beside the name',
    strategy: { name: 'least-connections', compat: 'nginx' },
    expected: 'a,a,b,a'
  },
  {
    name: 'with options apart',
    strategy: { name: 'least-connections', options: { compat: 'nginx' } },
    expected: 'a,a,b,a'
  }
]
for (const { name, strategy, expected } of choices) {
  test(`the strategy of an upstream: ${name}`, () => {
    const targets = [{ url: 'http://h1', weight: 3 }, 'http://h2']

    const balancer = createBalancers().add('a', { strategy, targets })

    assert.equal(sequence(balancer, 4), expected)
  })
}

test('upstreams with the same strategy share no state', () => {
  const targets = ['http://h1', 'http://h2']
  const balancers = createBalancers({ upstreams: { one: { targets }, two: { targets } } })

  const first = sequence(balancers.get('one'), 1)
  const other = sequence(balancers.get('two'), 1)

  assert.deepEqual([first, other], ['a', 'a'])
})

test('an upstream is found by its name', () => {
  const balancers = createBalancers({ upstreams: { users: {}, orders: {} } })

  assert.equal(balancers.get('users').name, 'users')
  assert.deepEqual([balancers.has('users'), balancers.has('toString')], [true, false])
  assert.deepEqual(balancers.names, ['users', 'orders'])
})

test('an unknown upstream is named in the error, with those that are known', () => {
  const balancers = createBalancers({ upstreams: { users: {}, orders: {} } })

  assert.throws(() => balancers.get('user'), new UnknownUpstreamError('user', 'users, orders'))
  assert.throws(() => createBalancers().get('user'), new UnknownUpstreamError('user', '(none)'))
})

test('an upstream name is taken once', () => {
  const balancers = createBalancers({ upstreams: { users: {} } })

  assert.throws(() => balancers.add('users', {}), new DuplicateUpstreamError('users'))
})

test('an upstream with a fault is not added', () => {
  const balancers = createBalancers()

  assert.throws(() => balancers.add('users', { targets: ['http://h1', 'http://h1'] }), DuplicateTargetError)
  assert.equal(balancers.has('users'), false)
})

function refusal(reason: RegExp) {
  return (error: unknown) => error instanceof InvalidStrategyError && reason.test(error.message)
}
