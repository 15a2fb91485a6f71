import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { eventually, foreignHook, RawClient, type RunningGateway, send, startGateway } from './forwarding-helper.ts'
import { freePort, startRawTarget, startTarget } from './helper.ts'

const SECRET = 'a secret of some length'

/** Targets that say their number, and set a cookie of their own. */
async function startTargets(t: TestContext, count: number): Promise<string[]> {
  const urls = []
  for (let index = 0; index < count; index++) {
    const { url } = await startTarget(t, (request, response) => {
      response.setHeader('set-cookie', 'own=1')
      response.setHeader('x-cookies', request.headers.cookie ?? '')
      response.end(String(index))
    })
    urls.push(url)
  }
  return urls
}

async function startSticky(
  t: TestContext,
  targets: readonly (string | { url: string; backup?: boolean })[],
  options: object = {},
  prepare?: Parameters<typeof startGateway>[2]
): Promise<RunningGateway> {
  const strategy = { name: 'sticky', secret: SECRET, cookie: 'sid', ...options }
  return startGateway(t, [...targets], { upstream: { strategy }, ...prepare })
}

async function ask(gateway: RunningGateway, cookie?: string): Promise<{ body: string; set: string[]; seen: string }> {
  const { body, headers } = await send(gateway.port, { headers: cookie === undefined ? {} : { cookie } })
  return { body: body.toString(), set: headers['set-cookie'] ?? [], seen: String(headers['x-cookies']) }
}

function tokenIn(set: readonly string[]): string {
  const line = set.find((each) => each.startsWith('sid=')) ?? ''
  return line.slice(0, line.indexOf(';'))
}

for (const hooked of [false, true]) {
  test(`a client that keeps its cookie stays with one target (${hooked ? 'with' : 'without'} a hook)`, async (t) => {
    const gateway = await startSticky(t, await startTargets(t, 3), {}, hooked ? { prepare: foreignHook } : {})

    const first = await ask(gateway)
    const cookie = tokenIn(first.set)
    const others = [await ask(gateway), await ask(gateway)].map(({ body }) => body)
    const again = [await ask(gateway, cookie), await ask(gateway, `a=b; ${cookie}; c=d`)]

    assert.equal(first.body, '0')
    assert.deepEqual(first.set, ['own=1', `${cookie}; Path=/; HttpOnly; SameSite=Lax`])
    assert.deepEqual(others, ['1', '2'])
    // Its cookie holds, and so is not set again.
    assert.deepEqual(
      again.map(({ body, set }) => [body, set]),
      [
        ['0', ['own=1']],
        ['0', ['own=1']]
      ]
    )
    assert.equal(again[1]?.seen, `a=b; ${cookie}; c=d`)
  })
}

test('a client whose target has gone gets another one, and the cookie for it', async (t) => {
  const [first = '', second = ''] = await startTargets(t, 2)
  const gateway = await startSticky(t, [first, second])
  const cookie = tokenIn((await ask(gateway)).set)
  const [target] = gateway.app.balancers.get('users').targets
  assert.ok(target)

  target.down = true
  const moved = await ask(gateway, cookie)
  target.down = false
  const stays = await ask(gateway, tokenIn(moved.set))

  assert.equal(moved.body, '1')
  assert.notEqual(tokenIn(moved.set), cookie)
  assert.deepEqual([stays.body, stays.set], ['1', ['own=1']])
})

test('a client whose target refuses is served by another within the same exchange, and stays there', async (t) => {
  const dead = `http://127.0.0.1:${await freePort()}`
  const [alive = ''] = await startTargets(t, 1)
  const gateway = await startSticky(t, [dead, alive])
  const balancer = gateway.app.balancers.get('users')
  const [first] = balancer.targets
  assert.ok(first)
  const cookie = `sid=${balancer.renewToken(first, undefined)}`

  const moved = await ask(gateway, cookie)
  const stays = await ask(gateway, tokenIn(moved.set))

  assert.equal(moved.body, '0')
  assert.notEqual(tokenIn(moved.set), cookie)
  assert.deepEqual([stays.body, stays.set], ['0', ['own=1']])
})

test('a forged cookie is as none', async (t) => {
  const gateway = await startSticky(t, await startTargets(t, 2))
  const cookie = tokenIn((await ask(gateway)).set)

  const { body, set } = await ask(gateway, `${cookie.slice(0, -2)}AA`)

  assert.equal(body, '1')
  assert.notEqual(tokenIn(set), '')
})

test('a header can take the place of the cookie', async (t) => {
  const gateway = await startSticky(t, await startTargets(t, 3), { cookie: undefined, header: 'X-Session' })
  const first = await send(gateway.port)
  const session = String(first.headers['x-session'])

  const again = await send(gateway.port, { headers: { 'x-session': session } })

  assert.deepEqual([first.body.toString(), again.body.toString()], ['0', '0'])
  assert.deepEqual([again.headers['x-session'], again.headers['set-cookie']], [undefined, ['own=1']])
})

test('the switch to another protocol sets the cookie too', async (t) => {
  const answer = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'
  const { url } = await startRawTarget(t, (socket) => void socket.once('data', () => socket.write(answer)))
  const gateway = await startSticky(t, [url])

  const client = new RawClient(t, gateway.port)
  client.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
  await eventually(() => client.text.includes('\r\n\r\n'), 'no switch')

  assert.match(client.text, /^HTTP\/1\.1 101 /)
  assert.match(client.text, /\r\nset-cookie: sid=[\w-]{12}\.[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax\r\n/i)
})

test('a client that belongs to a target is not hedged to another', async (t) => {
  const { url: slow } = await startTarget(t, (_request, response) => setTimeout(() => response.end('slow'), 60))
  const { url: fast } = await startTarget(t, (_request, response) => response.end('fast'))
  const strategy = { name: 'sticky', secret: SECRET, cookie: 'sid' }
  const gateway = await startGateway(t, [fast, slow], { upstream: { strategy, hedge: { enabled: true } } })
  const balancer = gateway.app.balancers.get('users')
  const [fastTarget, slowTarget] = balancer.targets
  assert.ok(fastTarget && slowTarget)
  const cookieFor = (target: typeof fastTarget) => `sid=${balancer.renewToken(target, undefined)}`
  // Enough fast answers for the delay of a hedge to be known.
  for (let count = 0; count < 25; count++) await ask(gateway, cookieFor(fastTarget))

  const { body } = await ask(gateway, cookieFor(slowTarget))

  assert.equal(body, 'slow')
})

for (const { secret, warnings } of [
  { secret: SECRET, warnings: 0 },
  { secret: undefined, warnings: 1 }
]) {
  test(`${secret === undefined ? 'without' : 'with'} a secret there are ${warnings} warnings at boot`, async (t) => {
    const lines: string[] = []
    const stream = new Writable({
      write(line, _encoding, done) {
        lines.push(String(line))
        done()
      }
    })

    await startSticky(t, ['http://127.0.0.1:1'], { secret }, { server: { logger: { level: 'warn', stream } } })

    assert.equal(lines.filter((line) => line.includes('no secret')).length, warnings)
    assert.equal(
      lines.some((line) => line.includes(SECRET)),
      false
    )
  })
}
