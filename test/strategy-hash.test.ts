import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readNetwork } from '../plugins/balancer/hashing/client-network.ts'
import type { Balancer, Target } from '../plugins/balancer/index.ts'
import { balancerOf, exchange, sequence, type UpstreamSketch } from './balancer-helper.ts'
import { fixture } from './helper.ts'

interface Setup {
  servers: string[]
  weights: number[]
  map: string
}
interface Recorded {
  servers: string[]
  paths: string
}

const { keys } = fixture<{ keys: string[] }>('nginx-ketama.json')
const nginx = fixture<{
  hash: { setups: Record<string, Setup>; recorded: Record<string, Recorded> }
  ipHash: {
    ips: string[]
    setups: Record<string, Setup>
    addresses: string[]
    addresses6: string[]
    recorded: Record<string, Recorded>
    recorded6: Record<string, Recorded>
  }
  ketama: { recorded: Record<string, Recorded> }
}>('nginx-hash.json')

const groups = [
  { strategy: 'hash', inputs: keys, setups: nginx.hash.setups, recorded: nginx.hash.recorded },
  { strategy: 'ip-hash', inputs: nginx.ipHash.ips, setups: nginx.ipHash.setups, recorded: {} },
  { strategy: 'ip-hash', inputs: nginx.ipHash.addresses, setups: {}, recorded: nginx.ipHash.recorded },
  { strategy: 'ip-hash', inputs: nginx.ipHash.addresses6, setups: {}, recorded: nginx.ipHash.recorded6 },
  {
    strategy: { name: 'consistent-hash', compat: 'nginx' },
    inputs: keys,
    setups: {},
    recorded: nginx.ketama.recorded
  }
]
for (const { strategy, inputs, setups, recorded } of groups) {
  for (const [name, { servers, weights, map }] of Object.entries(setups)) {
    test(`nginx ${name}: every key goes to the same target`, () => {
      const weighted = servers.map((server, index) => `${server} weight=${weights[index]}`)

      assert.equal(pathsOf({ strategy, servers: weighted }, inputs, map), map)
    })
  }

  for (const [name, { servers, paths }] of Object.entries(recorded)) {
    test(`nginx ${name}: every key goes the same way, one after the other`, () => {
      assert.equal(pathsOf({ strategy, servers }, inputs, paths), paths)
    })
  }
}

for (const [strategy, key] of [
  ['hash', undefined],
  ['hash', ''],
  ['ip-hash', undefined],
  ['ip-hash', 'not an address']
] as const) {
  test(`${strategy}: a key that is ${JSON.stringify(key)} is none, and the targets take turns`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1 weight=3', 'h2:1'] })
    const turns = balancerOf({ strategy: 'smooth-weighted-round-robin', servers: ['h1:1 weight=3', 'h2:1'] })

    const picked = Array.from({ length: 8 }, () => exchange(balancer, () => false, key).join('>')).join(',')

    assert.equal(picked, sequence(turns, 8))
  })
}

test('ip-hash: clients of one IPv4 network go to one target, those of one IPv6 network need not', () => {
  const balancer = balancerOf({ strategy: 'ip-hash', servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1', 'h5:1'] })
  const urlsFor = (prefix: string) =>
    new Set(Array.from({ length: 50 }, (_, index) => balancer.get({ key: `${prefix}${index}`, tried: undefined })?.url))

  assert.equal(urlsFor('192.0.2.').size, 1)
  assert.equal(urlsFor('::ffff:192.0.2.').size, 1)
  assert.ok(urlsFor('2001:db8::').size > 1)
})

test('hash: a target that leaves moves most keys, as it does at nginx', () => {
  const servers = ['h1:1', 'h2:1', 'h3:1', 'h4:1', 'h5:1']
  const balancer = balancerOf({ strategy: 'hash', servers })
  const before = keys.map((key) => balancer.get({ key, tried: undefined })?.url)

  balancer.remove('http://h5:1')
  const after = keys.map((key) => balancer.get({ key, tried: undefined })?.url)

  const moved = after.filter((url, index) => url !== before[index]).length / keys.length
  assert.ok(moved > 0.75 && moved < 0.85, `${moved}`)
})

const networks: { address: string; bytes: number[] }[] = [
  { address: '10.20.30.40', bytes: [10, 20, 30] },
  { address: '0.0.0.0', bytes: [0, 0, 0] },
  { address: '255.255.255.255', bytes: [255, 255, 255] },
  { address: '::ffff:10.20.30.40', bytes: [10, 20, 30] },
  { address: '::ffff:a14:1e28', bytes: [10, 20, 30] },
  { address: '::', bytes: Array(16).fill(0) },
  { address: '::1', bytes: [...Array(15).fill(0), 1] },
  { address: '1::', bytes: [0, 1, ...Array(14).fill(0)] },
  { address: '2001:db8::8:800:200c:417a', bytes: [32, 1, 13, 184, 0, 0, 0, 0, 0, 8, 8, 0, 32, 12, 65, 122] },
  { address: '1:2:3:4:5:6:7:8', bytes: [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8] },
  { address: '64:ff9b::192.0.2.33', bytes: [0, 100, 255, 155, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 33] },
  { address: 'fe80::1%eth0', bytes: [254, 128, ...Array(13).fill(0), 1] },
  { address: '', bytes: [] },
  { address: '10.20.30', bytes: [] },
  { address: '10.20.30.40.50', bytes: [] },
  { address: '10.20.30.256', bytes: [] },
  { address: '10.20.30.', bytes: [] },
  { address: '10.20.30.40 ', bytes: [] },
  { address: '10.20.30.4x', bytes: [] },
  { address: '1:2:3', bytes: [] },
  { address: '1::2::3', bytes: [] },
  { address: 'g::1', bytes: [] }
]
for (const { address, bytes } of networks) {
  test(`the network of '${address}' is ${bytes.length} bytes`, () => {
    const scratch = new Uint8Array(16).fill(99)

    const length = readNetwork(address, scratch)

    assert.deepEqual([...scratch.subarray(0, length)], bytes)
  })
}

/** The targets tried for each key, numbered, as the recordings have them; servers on ports 199xx refuse. */
function pathsOf(sketch: UpstreamSketch, inputs: readonly string[], expected: string): string {
  const balancer = balancerOf(sketch)
  return inputs
    .slice(0, expected.split(',').length)
    .map((key) => numbersOf(balancer, Buffer.from(key).toString('latin1')))
    .join(',')
}

function numbersOf(balancer: Balancer, key: string): string {
  const numbers: number[] = []
  const tried: Target[] = []
  for (;;) {
    const target = balancer.get({ key, tried })
    if (target === undefined) return numbers.join('>')
    const isDead = target.port >= 19900
    tried.push(target)
    numbers.push(balancer.targets.indexOf(target))
    balancer.acquire(target)
    balancer.release(target, isDead ? 'failure' : 'success')
    if (!isDead) return numbers.join('>')
  }
}
