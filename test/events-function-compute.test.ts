import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import events, { defineEventHandler } from '../plugins/events/index.ts'

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
