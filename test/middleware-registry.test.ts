import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import middleware, {
  chain,
  compose,
  type Layer,
  type LayerFunction,
  MiddlewareRegistry
} from '../plugins/middleware/index.ts'

const pair = (name: string) => ({ name, onRequest() {} })
const pass: LayerFunction = (_exchange, next) => next()

/** The names of the layers of a route, in order. */
function namesOf(registry: MiddlewareRegistry, route: string | undefined, names: readonly string[] = []) {
  return registry.resolve(route, names)?.layers.map(({ name }) => name)
}

test('layers come in the order of use, those of single routes in between, then those the route names', () => {
  const registry = new MiddlewareRegistry()
  registry.add(pair('known')).add(pair('other'))
  registry
    .use(pair('first'))
    .use(pair('users only'), { routes: ['users'] })
    .use([pair('third'), pair('fourth')])
    .use(pair('orders only'), { routes: ['orders'] })

  assert.deepEqual(namesOf(registry, 'users', ['other', 'known']), [
    'first',
    'users only',
    'third',
    'fourth',
    'other',
    'known'
  ])
  assert.deepEqual(namesOf(registry, 'orders'), ['first', 'third', 'fourth', 'orders only'])
  assert.deepEqual(namesOf(registry, undefined), ['first', 'third', 'fourth'])
})

test('a route without layers has no onion', () => {
  const registry = new MiddlewareRegistry()
    .add(pair('known'))
    .use(pair('users only'), { routes: ['users'] })
    .use([])

  assert.equal(registry.resolve('orders'), undefined)
  assert.equal(registry.resolve(undefined), undefined)
})

test('arrays, compose and chains put the same layers into use', () => {
  const layers = [pair('a'), pair('b'), pair('c')] as const

  const onions = [
    namesOf(new MiddlewareRegistry().use(layers), undefined),
    namesOf(new MiddlewareRegistry().use(compose(layers)), undefined),
    namesOf(new MiddlewareRegistry().use(chain().use(layers[0]).use(layers[1]).use(layers[2])), undefined),
    namesOf(new MiddlewareRegistry().use([layers[0], chain().use([layers[1], compose([layers[2]])])]), undefined)
  ]

  assert.deepEqual(onions, Array(4).fill(['a', 'b', 'c']))
})

test('only layers that look at the response give an onion a response half', () => {
  const cases: readonly [Layer, boolean][] = [
    [pair('request only'), false],
    [{ name: 'end only', onResponse() {} }, false],
    [{ name: 'response', onSend() {} }, true],
    [pass, true]
  ]

  const found = cases.map(([layer]) => new MiddlewareRegistry().use(layer).resolve(undefined)?.hasResponseHalf)

  assert.deepEqual(
    found,
    cases.map(([, expected]) => expected)
  )
})

test('hooks are called on the object they came with', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  class Counter {
    readonly name = 'counter'
    count = 0
    onRequest() {
      this.count++
    }
  }
  const counter = new Counter()
  await app.register(middleware, { layers: [counter] })

  await app.inject('/')

  assert.equal(counter.count, 1)
})

test('route ids that nobody declared are told', () => {
  const registry = new MiddlewareRegistry()
    .use(pair('a'), { routes: ['users', 'typo'] })
    .use(pair('b'), { routes: ['typo', 'orders'] })
    .use(pair('c'))

  registry.declareRoutes(['users', 'more'])
  registry.declareRoutes(['orders'])

  assert.deepEqual(registry.unknownRoutes(), ['typo'])
})

test('a name cannot be added twice', () => {
  const registry = new MiddlewareRegistry().add(pair('known'))

  assert.throws(() => registry.add(pair('known')), {
    code: 'FST_GATEWAY_DUPLICATE_MIDDLEWARE',
    message: "Middleware 'known' is already added"
  })
})

test('an unknown name is told together with the known ones', () => {
  const registry = new MiddlewareRegistry().add(pair('a')).add(pass)

  assert.throws(() => registry.resolve('users', ['b']), {
    code: 'FST_GATEWAY_UNKNOWN_MIDDLEWARE',
    message: "Unknown middleware 'b'. Expected one of: a, pass"
  })
})

const invalid: readonly { name: string; layer: unknown; message: string }[] = [
  { name: 'undefined', layer: undefined, message: 'expected a function or a pair of hooks, found undefined' },
  { name: 'null', layer: null, message: 'expected a function or a pair of hooks, found null' },
  { name: 'a string', layer: 'request-id', message: 'expected a function or a pair of hooks, found string' },
  { name: 'nested in a list', layer: [[7]], message: 'expected a function or a pair of hooks, found number' },
  {
    name: 'a function of one parameter',
    layer: function greet(_exchange: unknown) {},
    message: "layer 'greet' takes 1 parameters instead of two, the exchange and next"
  },
  {
    name: 'a function in the manner of Express',
    layer: (_request: unknown, _response: unknown, _next: unknown) => {},
    message: "layer 'layer' takes 3 parameters instead of two, the exchange and next"
  },
  { name: 'a pair without a name', layer: { onSend() {} }, message: 'a layer that is not a function needs a name' },
  {
    name: 'a name that is no string',
    layer: { name: 7, onSend() {} },
    message: 'a layer that is not a function needs a name'
  },
  {
    name: 'a pair without hooks',
    layer: { name: 'empty' },
    message: "layer 'empty' has no onRequest, onSend or onResponse"
  },
  {
    name: 'a hook that is no function',
    layer: { name: 'pair', onSend: true },
    message: "'onSend' of layer 'pair' is not a function"
  },
  {
    name: 'a handle that is no function',
    layer: { name: 'named', handle: 1 },
    message: "'handle' of layer 'named' is not a function"
  },
  {
    name: 'both forms at once',
    layer: { name: 'both', handle: pass, onSend() {} },
    message: "layer 'both' has both 'handle' and hooks"
  }
]

for (const { name, layer, message } of invalid) {
  test(`what is not a layer is refused with the reason: ${name}`, () => {
    const registry = new MiddlewareRegistry()

    assert.throws(() => registry.use(layer as Layer), {
      code: 'FST_GATEWAY_INVALID_MIDDLEWARE',
      message: `Invalid middleware: ${message}`
    })
  })
}

for (const { name, layer } of [
  { name: 'a nameless function', layer: (() => pass.bind(null))() },
  { name: 'a group', layer: compose([pair('a'), pair('b')]) }
]) {
  test(`only a single layer with a name can be added: ${name}`, () => {
    const registry = new MiddlewareRegistry()
    Object.defineProperty(layer, 'name', { value: '' })

    assert.throws(() => registry.add(layer), { code: 'FST_GATEWAY_INVALID_MIDDLEWARE' })
  })
}

test('routes must be a list of ids', () => {
  const registry = new MiddlewareRegistry()

  // @ts-expect-error A single id is not a list.
  assert.throws(() => registry.use(pass, { routes: 'users' }), { code: 'FST_GATEWAY_INVALID_MIDDLEWARE' })
})
