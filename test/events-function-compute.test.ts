import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import Fastify from 'fastify'
import events, {
  defineEventHandler,
  type EventFunction,
  FUNCTION_COMPUTE_ADDRESS,
  type LifecycleContext
} from '../plugins/events/index.ts'

test('the runtime protocol is served where the platform says that it speaks it, and nowhere else', async (t) => {
  const order: string[] = []
  const app = Fastify()
  t.after(() => app.close())
  const probe = defineEventHandler(
    { initializer: () => void order.push('init'), preFreeze: () => void order.push('freeze') },
    (event, { functionCompute }) => {
      order.push(functionCompute?.region ?? 'none')
      if (event === 1) throw new TypeError('one')
      return event === 2 ? undefined : event
    }
  )
  await app.register(events, { functions: { probe }, runtime: 'function-compute' })
  app.all('/*', async () => 'app')
  const call = (method: 'GET' | 'POST', url: string, payload = '', path = url) => {
    const headers = { 'x-fc-control-path': path, 'content-type': 'application/json', 'x-fc-region': 'cn-shanghai' }
    return app.inject({ method, url, headers, ...(method === 'POST' && { payload }) })
  }

  const started = await call('POST', '/initialize')
  const answered = await call('POST', '/invoke', '{"a":1}')
  const failed = await call('POST', '/invoke', '1')
  const nothing = await call('POST', '/invoke', '2')
  const frozen = await call('GET', '/pre-freeze')
  const other = await call('POST', '/invoke', '{}', '/http-invoke')

  assert.deepEqual([started.statusCode, started.headers['x-fc-status']], [200, '200'])
  assert.deepEqual([answered.body, answered.headers['x-fc-status']], ['{"a":1}', '200'])
  assert.deepEqual(
    [failed.statusCode, failed.json().errorType, failed.headers['x-fc-status']],
    [404, 'TypeError', '404']
  )
  assert.equal(nothing.body, 'null')
  assert.equal(frozen.statusCode, 200)
  assert.equal(other.body, 'app')
  assert.deepEqual(order, ['init', 'cn-shanghai', 'cn-shanghai', 'cn-shanghai', 'freeze'])
})

interface Answer {
  status: number
  fcStatus: string | null
  body: string
}

/** An app in the place of a custom runtime, on a port of its own, and what it prints. */
async function startRuntime(t: TestContext, functions: Record<string, EventFunction>) {
  const printed: string[] = []
  const write = process.stdout.write.bind(process.stdout)
  t.mock.method(process.stdout, 'write', (...given: Parameters<typeof write>) => {
    const [chunk] = given
    if (typeof chunk !== 'string' || !chunk.startsWith('FC ')) return write(...given)
    printed.push(chunk)
    return true
  })
  let log = ''
  const stream = new Writable({
    write(chunk, _encoding, done) {
      log += String(chunk)
      done()
    }
  })
  const app = Fastify({ logger: { level: 'trace', stream } })
  t.after(() => app.close())
  await app.register(events, { functions, runtime: 'function-compute' })
  const base = await app.listen({ port: 0, host: '127.0.0.1' })
  const call = async (method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> => {
    const response = await fetch(base + path, {
      method,
      headers: { 'x-fc-control-path': path, 'x-fc-request-id': 'rid', ...CREDENTIALS, ...headers },
      ...(path === '/invoke' && { body: Buffer.from('{"a":1}') })
    })
    const fcStatus = response.headers.get('x-fc-status')
    return { status: response.status, fcStatus, body: await response.text() }
  }
  return { call, printed, logged: () => log }
}

const CREDENTIALS = {
  'x-fc-access-key-id': 'SECRET-ID',
  'x-fc-access-key-secret': 'SECRET-KEY',
  'x-fc-security-token': 'SECRET-TOKEN'
}

test('the platform reaches the runtime at 0.0.0.0:9000', () => {
  assert.deepEqual(FUNCTION_COMPUTE_ADDRESS, { host: '0.0.0.0', port: 9000 })
})

test('invocations and hooks are told to the platform between lines of their own, with their context', async (t) => {
  const seen: unknown[] = []
  const note = ({ requestId, functionCompute }: LifecycleContext) => {
    seen.push([requestId, functionCompute?.credentials.accessKeyId])
  }
  const probe = defineEventHandler({ initializer: note, preFreeze: note, preStop: note }, (_event, context) => {
    note(context)
    return context.functionCompute?.credentials.securityToken.length
  })
  const { call, printed, logged } = await startRuntime(t, { probe })

  const answers = [
    await call('POST', '/initialize'),
    await call('POST', '/invoke'),
    await call('GET', '/pre-freeze'),
    await call('GET', '/pre-stop')
  ]

  const empty = { status: 200, fcStatus: '200', body: '' }
  assert.deepEqual(answers, [empty, { ...empty, body: '12' }, empty, empty])
  assert.deepEqual(seen, Array(4).fill(['rid', 'SECRET-ID']))
  const stages = ['Initialize', 'Invoke', 'PreFreeze', 'PreStop']
  assert.deepEqual(
    printed,
    stages.flatMap((stage) => [`FC ${stage} Start RequestId: rid\n`, `FC ${stage} End RequestId: rid\n`])
  )
  assert.doesNotMatch(logged(), /SECRET/)
})

test('a function and hooks that fail are told with status 404, the error, and a line that says so', async (t) => {
  const fail = () => {
    throw new RangeError('no')
  }
  const probe = defineEventHandler({ initializer: fail, preFreeze: fail, preStop: fail }, () => {})
  const { call, printed, logged } = await startRuntime(t, { probe })

  for (const [method, path] of [
    ['POST', '/initialize'],
    ['POST', '/invoke'],
    ['GET', '/pre-freeze'],
    ['GET', '/pre-stop']
  ] as const) {
    const { status, fcStatus, body } = await call(method, path)

    assert.deepEqual([status, fcStatus], [404, '404'], path)
    const { errorMessage, errorType, stackTrace } = JSON.parse(body)
    assert.deepEqual([errorMessage, errorType], ['no', 'RangeError'])
    assert.equal(stackTrace[0], 'RangeError: no')
    assert.match(printed.at(-1) ?? '', /^FC \w+ End RequestId: rid, Error: Unhandled function error\n$/)
  }
  assert.doesNotMatch(logged(), /SECRET/)
})

test('the deadline of the platform holds where it is before the own one', async (t) => {
  const deadlines: number[] = []
  const probe = defineEventHandler({ timeout: '30s' }, (_event, context) => {
    deadlines.push(context.deadline)
    assert.ok(context.remainingTime() <= 30_000)
  })
  const { call } = await startRuntime(t, { probe })
  const soon = Date.now() + 20_000
  const late = Date.now() + 90_000

  for (const deadline of [soon, late, 'soon'])
    await call('POST', '/invoke', { 'x-fc-function-deadline': `${deadline}` })

  const [first, second = 0, third = 0] = deadlines
  assert.equal(first, soon)
  for (const own of [second, third]) assert.ok(own > soon && own < late)
})

test('a function that is over its deadline is a failure', async (t) => {
  const stuck = defineEventHandler((_event, { signal }) => {
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  })
  const { call } = await startRuntime(t, { stuck })

  const answer = await call('POST', '/invoke', { 'x-fc-function-deadline': String(Date.now() + 50) })

  assert.deepEqual([answer.status, answer.fcStatus], [404, '404'])
  assert.equal(JSON.parse(answer.body).errorType, 'FunctionTimeout')
})

test('a function of mode http is not shown the credentials of the platform', async (t) => {
  const echo = defineEventHandler({ mode: 'http' }, ({ headers }) => headers)
  const app = Fastify()
  t.after(() => app.close())
  await app.register(events, { functions: { echo } })

  const answer = await app.inject({ method: 'POST', url: '/events/echo', headers: { ...CREDENTIALS, 'x-other': '1' } })

  assert.equal(answer.json()['x-other'], '1')
  assert.doesNotMatch(answer.body, /SECRET/)
})
