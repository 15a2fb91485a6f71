import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runGateway } from './app-process-helper.ts'
import { portOf, startTarget } from './helper.ts'
import { startNamed } from './plugin-helper.ts'

const ANY_PORT = { GATEWAY_PORT: '0' }

async function textOf(url: string, init?: RequestInit): Promise<string> {
  return (await fetch(url, init)).text()
}

test('without targets, demo backends answer in the order of smooth weighted round robin', async (t) => {
  const gateway = runGateway(t, ANY_PORT)
  const base = await gateway.listening()
  const greeting = await gateway.printed(/# smooth weighted round robin: ([a-z ]+)/)

  const names = []
  for (let i = 0; i < 7; i++) names.push(JSON.parse(await textOf(base)).name)

  assert.deepEqual(names, ['alpha', 'alpha', 'beta', 'alpha', 'gamma', 'alpha', 'alpha'])
  assert.equal(greeting, names.join(' '))
  assert.equal(await gateway.printed(/cut.*\n[\s\S]*?curl -s (http:\S+)\/headers/), base)
})

test('GATEWAY_TARGETS alone makes a gateway for every path', async (t) => {
  const targets = `${await startNamed(t, 'one')},${await startNamed(t, 'two')}`
  const gateway = runGateway(t, { ...ANY_PORT, GATEWAY_TARGETS: targets })
  const base = await gateway.listening()

  const bodies = [await textOf(`${base}/a`), await textOf(`${base}/b?c=%20`)]

  assert.deepEqual(bodies, ['one /a', 'two /b?c=%20'])
})

test('GATEWAY_CONFIG names a file, whose values may come from the environment', async (t) => {
  const yaml = `
upstreams: { users: { targets: ['\${USERS_URL}'] } }
routes: [{ id: users, match: { path: /users/* }, upstream: users, rewrite: { prefix: /v1 } }]
`
  const variables = { ...ANY_PORT, GATEWAY_CONFIG: 'gateway.yaml', USERS_URL: await startNamed(t, 'users') }
  const gateway = runGateway(t, variables, { 'gateway.yaml': yaml })
  const base = await gateway.listening()

  const found = await textOf(`${base}/users/7`)
  const missing = await fetch(`${base}/other?x=1`)

  assert.equal(found, 'users /v1/7')
  assert.equal(missing.status, 404)
  assert.deepEqual(await missing.json(), {
    statusCode: 404,
    code: 'FST_GATEWAY_NO_ROUTE',
    error: 'Not Found',
    message: 'No route for GET /other'
  })
})

test('.env of the working directory is read, and a variable that is set wins over it', async (t) => {
  const dotEnv = `GATEWAY_PORT=1\nGATEWAY_TARGETS=${await startNamed(t, 'from .env')}\nGATEWAY_PATH=/only\n`
  const gateway = runGateway(t, ANY_PORT, { '.env': dotEnv })
  const base = await gateway.listening()

  const bodies = [await textOf(`${base}/only`), await textOf(`${base}/other`)]

  assert.equal(bodies[0], 'from .env /only')
  assert.match(bodies[1] ?? '', /FST_GATEWAY_NO_ROUTE/)
})

const MISTAKES = [
  {
    name: 'a port that is no port',
    variables: { GATEWAY_PORT: '99999' },
    stderr: /^fastify-gateway: Invalid configuration\nGATEWAY_PORT: .*0-65535.*\n$/
  },
  {
    name: 'a target that is no URL',
    variables: { ...ANY_PORT, GATEWAY_TARGETS: 'localhost' },
    stderr: /^fastify-gateway: Invalid configuration\nGATEWAY_TARGETS\S*: .*localhost.*\n$/
  },
  {
    name: 'a misspelt variable',
    variables: { ...ANY_PORT, GATEWAY_TRAGETS: 'http://127.0.0.1:3001' },
    stderr: /^fastify-gateway: Invalid configuration\nGATEWAY_TRAGETS: .*GATEWAY_TARGETS.*\n$/
  },
  {
    name: 'a strategy that nobody added',
    variables: { ...ANY_PORT, GATEWAY_TARGETS: 'http://127.0.0.1:3001', GATEWAY_STRATEGY: 'best' },
    stderr: /^fastify-gateway: Invalid configuration\nGATEWAY_STRATEGY: found 'best', .*round-robin.*\n$/
  },
  {
    name: 'a file that does not exist',
    variables: { ...ANY_PORT, GATEWAY_CONFIG: 'missing.yaml' },
    stderr: /^fastify-gateway: Cannot read configuration file 'missing\.yaml': no such file\n$/
  },
  {
    name: 'a file with two faults',
    variables: { ...ANY_PORT, GATEWAY_CONFIG: 'faulty.yaml' },
    stderr: /^fastify-gateway: Invalid configuration\nfaulty\.yaml:1:\d+ .*upstreams.*\nfaulty\.yaml:2:\d+ .*\n$/
  }
]

for (const { name, variables, stderr } of MISTAKES) {
  test(`${name}: one message, exit code 1`, async (t) => {
    const gateway = runGateway(t, variables, { 'faulty.yaml': 'upstraems: {}\nroutes: 7\n' })

    const end = await gateway.ended()

    assert.equal(end.code, 1)
    assert.match(end.stderr, stderr)
    assert.equal(end.stdout, '')
  })
}

test('a port in use: one message that names it, exit code 1', async (t) => {
  const { server, url } = await startTarget(t, (_request, response) => response.end())
  const port = String(portOf(server))
  const gateway = runGateway(t, { GATEWAY_PORT: port, GATEWAY_TARGETS: url })

  const end = await gateway.ended()

  assert.equal(end.code, 1)
  assert.equal(end.stderr, `fastify-gateway: 127.0.0.1:${port} is in use by another program; set GATEWAY_PORT\n`)
})
