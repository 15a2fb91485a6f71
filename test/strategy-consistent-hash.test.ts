import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 as zlibCrc32 } from 'node:zlib'
import { crc32 } from '../plugins/balancer/hashing/crc32.ts'
import { KetamaRing, ketamaPoints } from '../plugins/balancer/hashing/ketama-ring.ts'
import { type Balancer, createBalancers, type Target, type TargetOptions } from '../plugins/balancer/index.ts'
import { balancerOf, exchange, FakeClock, sequence } from './balancer-helper.ts'
import { fixture } from './helper.ts'

interface Setup {
  servers: string[]
  weights: number[]
  down: boolean[]
  dead: boolean[]
  points?: number
  map: string
}

const { keys, setups } = fixture<{ keys: string[]; setups: Record<string, Setup> }>('nginx-ketama.json')
const recorded = fixture<{
  ketama: Record<string, Setup>
  walk: { servers: string[]; dead: boolean[]; paths: string }
}>('nginx-recorded.json')

for (const [name, setup] of Object.entries({ ...setups, ...recorded.ketama })) {
  test(`nginx ${name}: every key goes to the same target`, () => {
    const balancer = ketama(setup)
    const expected = setup.map.split(',').map(Number)
    const isDead = (target: Target) => setup.dead[balancer.targets.indexOf(target)] === true

    const map = keys.slice(0, expected.length).map((key) => lastTried(balancer, isDead, asHeader(key)))

    assert.deepEqual(map, expected)
  })
}

test('nginx: an exchange whose attempts fail goes round the ring in the same order', () => {
  const { servers, dead, paths } = recorded.walk
  const balancer = ketama({ servers: servers.map((server) => `${server} max_fails=0`), dead })
  const isDead = (target: Target) => dead[balancer.targets.indexOf(target)] === true
  const expected = paths.split(',')

  const walked = keys.slice(0, expected.length).map((key) =>
    exchange(balancer, isDead, asHeader(key))
      .map((letter) => letter.charCodeAt(0) - 97)
      .join('>')
  )

  assert.deepEqual(walked, expected)
})

test('the number of points is 160 for each unit of weight', () => {
  const sizes = Object.values(setups).map(({ servers, weights }) =>
    servers.reduce((sum, server, index) => sum + ketamaPoints(server, weights[index] ?? 1).length, 0)
  )

  assert.deepEqual(
    sizes,
    Object.values(setups).map(({ points }) => points)
  )
})

test('the points of a smaller weight are among those of a larger one', () => {
  const large = new Set(ketamaPoints('127.0.0.1:3001', 5))

  const missing = ketamaPoints('127.0.0.1:3001', 2).filter((point) => !large.has(point))

  assert.equal(missing.length, 0)
})

test('removing a target moves its keys only, and adding it again last brings them back', () => {
  const balancer = ketama({ servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1'] })
  const before = urlsOf(balancer)

  balancer.remove('http://h2:1')
  const without = urlsOf(balancer)
  balancer.add('http://h2:1')
  const again = urlsOf(balancer)

  assert.ok(before.includes('http://h2:1'))
  assert.ok(!without.includes('http://h2:1'))
  assert.deepEqual(
    without.filter((url, index) => url !== before[index] && before[index] !== 'http://h2:1'),
    []
  )
  assert.deepEqual(again, before)
})

test('adding a target takes keys to the new target only', () => {
  const balancer = ketama({ servers: ['h1:1', 'h2:1', 'h3:1'] })
  const before = urlsOf(balancer)

  balancer.add('http://h4:1')
  const after = urlsOf(balancer)

  const moved = after.filter((url, index) => url !== before[index])
  assert.ok(moved.length > 0)
  assert.deepEqual(new Set(moved), new Set(['http://h4:1']))
})

test('keys of a failed target come back to it after failTimeout', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'consistent-hash', servers: ['h1:1', 'h2:1', 'h3:1'], clock })
  const home = balancer.get({ key: 'user-7', tried: undefined })
  assert.ok(home)

  balancer.acquire(home)
  balancer.release(home, 'failure')
  const away = balancer.get({ key: 'user-7', tried: undefined })
  clock.time += 10_001
  const back = balancer.get({ key: 'user-7', tried: undefined })

  assert.notEqual(away, home)
  assert.equal(back, home)
})

test('the only target left is found however many others are down, past the 20 points at which nginx gives up', () => {
  const servers = Array.from({ length: 30 }, (_, index) => `h${index}:1${index === 17 ? '' : ' down'}`)
  const balancer = ketama({ servers })

  assert.deepEqual(new Set(urlsOf(balancer)), new Set(['http://h17:1']))
})

test('a failure costs weight in the turns without a key, and picks by key give it back', () => {
  const normal = 'a,a,b,a,a'
  const balancers = ['untouched', 'failed', 'recovered'].map((state) => {
    const clock = new FakeClock()
    const balancer = balancerOf({ strategy: 'consistent-hash', servers: ['h1:1 weight=4', 'h2:1'], clock })
    const [first] = balancer.targets
    assert.ok(first)
    const key = keys.find((each) => balancer.get({ key: each, tried: undefined }) === first)
    if (state !== 'untouched') {
      balancer.acquire(first)
      balancer.release(first, 'failure')
      clock.time += 10_001
    }
    if (state === 'recovered') for (let pick = 0; pick < 4; pick++) exchange(balancer, () => false, key)
    return balancer
  })

  assert.deepEqual(
    balancers.map((balancer) => sequence(balancer, 5)),
    [normal, 'b,a,b,a,a', normal]
  )
})

test('the scheme of a url, however written, is no part of what is hashed', () => {
  const urls = (scheme: string) => {
    const targets = ['h1:1', 'h2:1', 'h3:1'].map((server) => scheme + server)
    const balancer = createBalancers({ upstreams: { test: { strategy: 'consistent-hash', targets } } }).get('test')
    return urlsOf(balancer).map((url) => url?.slice(scheme.length))
  }

  assert.deepEqual(urls('HTTP://'), urls('http://'))
  assert.deepEqual(urls('https://'), urls('http://'))
})

test('a target of weight 0 has no keys', () => {
  const balancer = balancerOf({ strategy: 'consistent-hash', servers: ['h1:1 weight=0', 'h2:1'] })

  assert.deepEqual(new Set(urlsOf(balancer)), new Set(['http://h2:1']))
})

test('equal points belong to the owner that was added first', () => {
  const ring = new KetamaRing()
  ring.add(0, Uint32Array.of(10, 20))
  ring.add(1, Uint32Array.of(5, 20))

  assert.equal(ring.ownerAt(ring.find(20)), 0)
  assert.equal(ring.ownerAt(ring.find(20) + 1), 1)
})

const lookups = [
  { hash: 0, expected: 0 },
  { hash: 10, expected: 0 },
  { hash: 11, expected: 1 },
  { hash: 0x7fffffff, expected: 2 },
  { hash: 0x80000000, expected: 2 },
  { hash: 0xfffffffe, expected: 3 },
  { hash: 0xffffffff, expected: 0 }
]
for (const { hash, expected } of lookups) {
  test(`a ring finds the first point at or after ${hash}, going round at the end`, () => {
    const ring = new KetamaRing()
    ring.add(0, Uint32Array.of(10, 20, 0x80000000, 0xfffffffe))

    assert.equal(ring.find(hash), expected)
  })
}

test('the checksum is CRC-32 over the bytes of the key', () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('')

  assert.equal(crc32('123456789'), 0xcbf43926)
  assert.equal(crc32(bytes), zlibCrc32(Buffer.from(bytes, 'latin1')))
})

test('keys that differ above the first byte of a character have different checksums', () => {
  assert.notEqual(crc32('\u0141'), crc32('\u0241'))
})

function ketama({ servers, weights = [], down = [] }: Partial<Setup> & { servers: string[] }): Balancer {
  return balancerOf({
    strategy: 'consistent-hash',
    servers: servers.map((server, index) => {
      const weight = weights[index] === undefined ? '' : ` weight=${weights[index]}`
      return `${server}${weight}${down[index] === true ? ' down' : ''}`
    })
  })
}

function lastTried(balancer: Balancer, isDead: (target: Target) => boolean, key: string): number {
  return (exchange(balancer, isDead, key).at(-1) ?? '').charCodeAt(0) - 97
}

function urlsOf(balancer: Balancer): (string | undefined)[] {
  return keys.map((key) => balancer.get({ key, tried: undefined })?.url)
}

/** Node hands out the bytes of a header as latin1. */
function asHeader(key: string): string {
  return Buffer.from(key).toString('latin1')
}

for (const strategy of ['consistent-hash', 'bounded-consistent-hash']) {
  test(`${strategy}: weights that would make a ring of more than 8 million points are refused, and change nothing`, () => {
    const [one, other, third] = ['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3']
    const refused = { code: 'FST_GATEWAY_INVALID_TARGET', message: /10\.0\.0\.[23].* 52428 together.* 52429$/ }
    const balancerWith = (targets: (string | TargetOptions)[]) =>
      createBalancers({ upstreams: { test: { strategy, targets } } }).get('test')
    const mapOf = (balancer: Balancer) =>
      keys.slice(0, 50).map((key) => balancer.get({ key: asHeader(key), tried: undefined })?.url)

    assert.throws(() => balancerWith([one, { url: other, weight: 52_428 }]), refused)
    const balancer = balancerWith([one, other])
    const before = mapOf(balancer)
    assert.throws(() => balancer.setWeight(other, 52_428), refused)
    assert.throws(() => balancer.add({ url: third, weight: 52_427 }), refused)

    assert.deepEqual(mapOf(balancer), before)
    assert.deepEqual(
      balancer.targets.map(({ url, weight }) => [url, weight]),
      [
        [one, 1],
        [other, 1]
      ]
    )
    assert.equal(balancer.levels[0]?.inService, 2)
    assert.ok(balancer.setWeight(other, 3), 'the refused ones are not counted')
    assert.deepEqual(mapOf(balancer), mapOf(balancerWith([one, { url: other, weight: 3 }])))
    balancer.remove(other)
    balancer.add(third)
    assert.throws(() => balancer.setWeight(third, 52_428), refused)
  })
}
