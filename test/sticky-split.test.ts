import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createKeyedSplit } from '../plugins/proxy/routing/sticky-split.ts'
import { send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

const KEYS = Array.from({ length: 20_000 }, (_, index) => `client-${index}`)
const SECRET = 'a secret of some length'

function split(weights: Record<string, number>): (string | undefined)[] {
  const pick = createKeyedSplit(Object.entries(weights).map(([name, weight]) => ({ name, weight })))
  return KEYS.map((key) => pick(key)?.name)
}

function shareOf(names: readonly unknown[], name: string): number {
  return names.filter((other) => other === name).length / KEYS.length
}

for (const weights of [
  { blue: 90, green: 10 },
  { a: 5, b: 3, c: 2, d: 0 },
  { a: 1, b: 99 }
]) {
  test(`keys are shared by weights of ${Object.values(weights)}`, () => {
    const names = split(weights)

    const total = Object.values(weights).reduce((sum, weight) => sum + weight)
    for (const [name, weight] of Object.entries(weights)) {
      // Six standard deviations of half of the keys.
      assert.ok(Math.abs(shareOf(names, name) - weight / total) < 0.022, `${name} ${shareOf(names, name)}`)
    }
    assert.equal(shareOf(names, 'd'), 0)
  })
}

for (const { name, before, after, moved } of [
  { name: 'a canary that grows', before: { blue: 90, green: 10 }, after: { blue: 80, green: 20 }, moved: 0.1 },
  { name: 'one of three that grows', before: { a: 1, b: 1, c: 1 }, after: { a: 1, b: 2, c: 1 }, moved: 1 / 6 },
  { name: 'one that comes first', before: { a: 1, b: 1 }, after: { new: 2, a: 1, b: 1 }, moved: 0.5 },
  { name: 'one that goes', before: { a: 1, b: 1, c: 2 }, after: { a: 1, c: 2 }, moved: 0.25 },
  { name: 'another order', before: { a: 1, b: 3 }, after: { b: 3, a: 1 }, moved: 0 },
  { name: 'the same weights on another scale', before: { a: 1, b: 3 }, after: { a: 10, b: 30 }, moved: 0 }
]) {
  test(`with ${name}, no more keys move than must`, () => {
    const [old, now] = [split({ ...before }), split({ ...after })]

    const moves = new Set(KEYS.flatMap((_, index) => (old[index] === now[index] ? [] : `${old[index]} ${now[index]}`)))
    const share = old.filter((name, index) => name !== now[index]).length / KEYS.length
    assert.ok(Math.abs(share - moved) < 0.022, `${share}`)
    // Either all come from one share, or all go to one.
    const [from, to] = [0, 1].map((side) => new Set([...moves].map((move) => move.split(' ')[side])))
    assert.ok((from?.size ?? 0) <= 1 || (to?.size ?? 0) <= 1, [...moves].join())
  })
}

async function start(t: TestContext, sticky: object, weights = { blue: 1, green: 1 }) {
  const [blue, green] = await Promise.all(
    ['blue', 'green'].map((name) => startTarget(t, (_request, response) => response.end(name)))
  )
  return startGateway(t, [], {
    more: { blue: { targets: [blue?.url ?? ''] }, green: { targets: [green?.url ?? ''] } },
    route: { upstream: Object.entries(weights).map(([upstream, weight]) => ({ upstream, weight })), sticky }
  })
}

async function bodies(port: number, headers: Record<string, string>, count: number): Promise<Set<string>> {
  const replies = await Promise.all(Array.from({ length: count }, () => send(port, { headers })))
  return new Set(replies.map(({ body }) => body.toString()))
}

test('equal values of a header go to the same upstream, and different ones to all', async (t) => {
  const { port } = await start(t, { header: 'X-User' })
  const seen = new Set<string>()

  for (let user = 0; user < 20; user++) {
    const names = await bodies(port, { 'x-user': `user-${user}` }, 3)
    assert.equal(names.size, 1)
    for (const name of names) seen.add(name)
  }

  assert.deepEqual(seen, new Set(['blue', 'green']))
})

test('requests without the header are shared at random, and no cookie is given', async (t) => {
  const { port } = await start(t, { header: 'x-user' })

  assert.deepEqual(await bodies(port, {}, 30), new Set(['blue', 'green']))
  assert.equal((await send(port)).headers['set-cookie'], undefined)
})

test('a client is given a cookie with its first answer, and stays where it was', async (t) => {
  const { port } = await start(t, { cookie: { name: 'place', secure: true, ttl: '1h', domain: 'a.example' } })
  const seen = new Set<string>()

  for (let client = 0; client < 20; client++) {
    const first = await send(port)
    const [line = ''] = first.headers['set-cookie'] ?? []
    const cookie = line.slice(0, line.indexOf(';'))
    const again = await send(port, { headers: { cookie: `a=1; ${cookie}` } })
    assert.match(line, /^place=[\w-]{8}; Path=\/; Domain=a\.example; Max-Age=3600; HttpOnly; Secure; SameSite=Lax$/)
    assert.deepEqual(await bodies(port, { cookie }, 3), new Set([first.body.toString()]))
    assert.equal(again.headers['set-cookie'], undefined)
    seen.add(first.body.toString())
  }

  assert.deepEqual(seen, new Set(['blue', 'green']))
})

for (const cookie of ['split=short', 'split=AAAAAAAA', 'split=AAAAAAAA.wrong', 'split=', 'other=AAAAAAAA']) {
  test(`with a secret, '${cookie}' is not a place, and the client is given one`, async (t) => {
    const { port } = await start(t, { cookie: { secret: SECRET } })

    const [line = ''] = (await send(port, { headers: { cookie } })).headers['set-cookie'] ?? []
    const [given = ''] = line.split(';')
    const tampered = given.replace(/^split=./, (start) => (start.endsWith('A') ? 'split=B' : 'split=A'))

    assert.match(given, /^split=[\w-]{8}\.[\w-]{22}$/)
    assert.equal((await send(port, { headers: { cookie: given } })).headers['set-cookie'], undefined)
    assert.equal((await send(port, { headers: { cookie: tampered } })).headers['set-cookie']?.length, 1)
  })
}

test('a cookie signed by an older secret keeps its place, and is signed anew', async (t) => {
  const old = await start(t, { cookie: { secret: SECRET } })
  const both = await start(t, { cookie: { secret: ['another secret of some length', SECRET] } })
  const [line = ''] = (await send(old.port)).headers['set-cookie'] ?? []
  const [cookie = ''] = line.split(';')

  const reply = await send(both.port, { headers: { cookie } })
  const [renewed = ''] = reply.headers['set-cookie'] ?? []

  assert.equal(renewed.slice(0, 14), cookie.slice(0, 14))
  assert.notEqual(renewed.split(';')[0], cookie)
})

test('without a secret, a place is any eight characters, and what has more is none', async (t) => {
  const { port } = await start(t, { cookie: {} })

  assert.equal((await send(port, { headers: { cookie: 'split=AAAAAAAA' } })).headers['set-cookie'], undefined)
  assert.equal((await send(port, { headers: { cookie: 'split=AAAAAAAAA' } })).headers['set-cookie']?.length, 1)
})

test('the cookie of the target and that of the split both reach the client', async (t) => {
  const target = await startTarget(t, (_request, response) => response.setHeader('set-cookie', 'a=1').end())
  const targets = [target.url]
  const { port } = await startGateway(t, targets, {
    more: { next: { targets } },
    route: { upstream: [{ upstream: 'users' }, { upstream: 'next' }], sticky: { cookie: {} } }
  })

  const cookies = (await send(port)).headers['set-cookie'] ?? []

  assert.deepEqual(
    cookies.map((cookie) => cookie.split('=')[0]),
    ['a', 'split']
  )
})
