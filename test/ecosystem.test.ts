import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build as buildBasicAuth } from '../examples/policies/basic-auth.ts'
import { build as buildCors } from '../examples/policies/cors.ts'
import { build as buildHelmet } from '../examples/policies/helmet.ts'
import { build as buildJwt } from '../examples/policies/jwt.ts'
import { build as buildRateLimit } from '../examples/policies/rate-limit.ts'
import { build as buildUnderPressure } from '../examples/policies/under-pressure.ts'
import { start } from './ecosystem-helper.ts'

test('rate-limit: what is over the limit is answered 429 and does not reach the target', async (t) => {
  const { app, seen } = await start(t, buildRateLimit)

  const answers = []
  for (const path of ['/api/1', '/api/2', '/api/3']) answers.push(await app.inject(path))

  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [200, 200, 429]
  )
  assert.deepEqual(seen, ['GET /api/1', 'GET /api/2'])
  assert.equal(answers[1]?.body, 'from the target')
  assert.equal(answers[1]?.headers['x-ratelimit-remaining'], '0')
  assert.equal(answers[2]?.headers['retry-after'], '60')
})

test('rate-limit: each client has a limit of its own', async (t) => {
  const { app } = await start(t, buildRateLimit)
  for (let i = 0; i < 3; i++) await app.inject('/api/1')

  const { statusCode } = await app.inject({ url: '/api/1', remoteAddress: '203.0.113.9' })

  assert.equal(statusCode, 200)
})

test('cors: a preflight is answered by the gateway', async (t) => {
  const { app, seen } = await start(t, buildCors)

  const { statusCode, headers } = await app.inject({
    method: 'OPTIONS',
    url: '/api/1',
    headers: { origin: 'https://shop.example', 'access-control-request-method': 'PUT' }
  })

  assert.equal(statusCode, 204)
  assert.equal(headers['access-control-allow-origin'], 'https://shop.example')
  assert.match(String(headers['access-control-allow-methods']), /\bPUT\b/)
  assert.deepEqual(seen, [])
})

test('cors: OPTIONS that is no preflight is refused by the policy, as on any other route', async (t) => {
  const { app, seen } = await start(t, buildCors)

  const { statusCode } = await app.inject({ method: 'OPTIONS', url: '/api/1' })

  assert.equal(statusCode, 400)
  assert.deepEqual(seen, [])
})

test('cors: proxied responses carry the headers', async (t) => {
  const { app } = await start(t, buildCors, (_request, response) => {
    response.setHeader('vary', 'accept-encoding')
    response.end('from the target')
  })

  const { headers, body } = await app.inject({ url: '/api/1', headers: { origin: 'https://shop.example' } })

  assert.equal(headers['access-control-allow-origin'], 'https://shop.example')
  assert.equal(headers['access-control-allow-credentials'], 'true')
  assert.deepEqual(listOf(headers.vary), ['accept-encoding', 'origin'])
  assert.equal(body, 'from the target')
})

test('cors: a target with CORS headers of its own does not double them', async (t) => {
  const { app } = await start(t, buildCors, (_request, response) => {
    response.setHeader('Access-Control-Allow-Origin', 'https://shop.example')
    response.setHeader('Access-Control-Allow-Credentials', 'true')
    response.end()
  })
  const base = await app.listen({ port: 0 })

  const { headers } = await fetch(`${base}/api/1`, { headers: { origin: 'https://shop.example' } })

  assert.equal(headers.get('access-control-allow-origin'), 'https://shop.example')
  assert.equal(headers.get('access-control-allow-credentials'), 'true')
})

test('jwt: without a valid token the answer is 401 and the target is not asked', async (t) => {
  const { app, seen } = await start(t, buildJwt)
  await app.ready()
  const forged = `${app.jwt.sign({ user: 'mallory' }).slice(0, -6)}AAAAAA`

  const answers = [
    await app.inject('/api/1'),
    await app.inject({ url: '/api/1', headers: { authorization: `Bearer ${forged}` } })
  ]

  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [401, 401]
  )
  assert.deepEqual(seen, [])
})

test('jwt: with a valid token the request is forwarded, the token with it', async (t) => {
  const { app } = await start(t, buildJwt, (request, response) => response.end(request.headers.authorization))
  await app.ready()
  const authorization = `Bearer ${app.jwt.sign({ user: 'alice' })}`

  const { statusCode, body } = await app.inject({ url: '/api/1', headers: { authorization } })

  assert.equal(statusCode, 200)
  assert.equal(body, authorization)
})

test('helmet: proxied responses get the security headers and keep all of their cookies', async (t) => {
  const { app } = await start(t, buildHelmet, (_request, response) => {
    response.setHeader('set-cookie', ['a=1; Path=/', 'b=2; HttpOnly'])
    response.end('page')
  })

  const { headers } = await app.inject('/api/1')

  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.match(String(headers['content-security-policy']), /default-src 'self'/)
  assert.deepEqual(headers['set-cookie'], ['a=1; Path=/', 'b=2; HttpOnly'])
})

test('helmet: a header that the target sets itself is sent once, as the target wrote it', async (t) => {
  const { app } = await start(t, buildHelmet, (_request, response) => {
    response.setHeader('Content-Security-Policy', "default-src 'none'")
    response.end('page')
  })

  const { headers } = await app.inject('/api/1')

  assert.equal(headers['content-security-policy'], "default-src 'none'")
})

test('under-pressure: a gateway over its limits answers 503 without asking the target', async (t) => {
  const { app, seen } = await start(t, (url) =>
    buildUnderPressure(url, { healthCheck: async () => false, healthCheckInterval: 60_000 })
  )

  const { statusCode, headers } = await app.inject('/api/1')

  assert.equal(statusCode, 503)
  assert.equal(headers['retry-after'], '5')
  assert.deepEqual(seen, [])
})

test('under-pressure: a gateway within its limits forwards', async (t) => {
  const { app } = await start(t, (url) => buildUnderPressure(url))

  const { statusCode, body } = await app.inject('/api/1')

  assert.equal(statusCode, 200)
  assert.equal(body, 'from the target')
})

test('basic-auth: without the right password the answer is 401 and the target is not asked', async (t) => {
  const { app, seen } = await start(t, buildBasicAuth)

  const answers = [
    await app.inject('/api/1'),
    await app.inject({ url: '/api/1', headers: { authorization: basic('gate', 'wrong') } })
  ]

  assert.deepEqual(
    answers.map(({ statusCode }) => statusCode),
    [401, 401]
  )
  assert.match(String(answers[0]?.headers['www-authenticate']), /^Basic realm="gateway"/)
  assert.deepEqual(seen, [])
})

test('basic-auth: with the right password the request is forwarded', async (t) => {
  const { app } = await start(t, buildBasicAuth)

  const { statusCode, body } = await app.inject({
    url: '/api/1',
    headers: { authorization: basic('gate', 'only for this example') }
  })

  assert.equal(statusCode, 200)
  assert.equal(body, 'from the target')
})

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** The items of a list header, whichever way it is spread over lines. */

function listOf(value: string | string[] | number | undefined): string[] {
  return String(value)
    .toLowerCase()
    .split(',')
    .map((item) => item.trim())
    .sort()
}
