import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

test('ip-hash takes the address of the client, behind trusted proxies too, without being told', async (t) => {
  const names = ['a', 'b', 'c']
  const targets = await Promise.all(
    names.map(async (name) => (await startTarget(t, (_request, response) => response.end(name))).url)
  )
  const gateway = await startGateway(t, targets, {
    upstream: { strategy: 'ip-hash' },
    options: { trustedProxies: ['127.0.0.1'] }
  })
  const from = async (address: string) =>
    (await send(gateway.port, { headers: { 'x-forwarded-for': address } })).body.toString()

  const direct = [await from('127.0.0.9'), await from('127.0.0.8')]
  const forwarded = []
  for (let network = 0; network < 30; network++) forwarded.push(await from(`198.51.${network}.7`))
  const again = []
  for (let network = 0; network < 30; network++) again.push(await from(`198.51.${network}.99`))

  assert.equal(direct[0], direct[1])
  assert.deepEqual(new Set(forwarded), new Set(names))
  assert.deepEqual(again, forwarded)
})

test('ip-hash takes another key when it is told to', async (t) => {
  const targets = await Promise.all(
    ['a', 'b'].map(async (name) => (await startTarget(t, (_request, response) => response.end(name))).url)
  )
  const gateway = await startGateway(t, targets, { upstream: { strategy: 'ip-hash', hashKey: 'header:x-real-ip' } })

  const bodies = new Set<string>()
  for (let network = 0; network < 20; network++) {
    const { body } = await send(gateway.port, { headers: { 'x-real-ip': `10.0.${network}.1` } })
    bodies.add(body.toString())
  }

  assert.deepEqual(bodies, new Set(['a', 'b']))
})

for (const { strategy, hashKey, warns } of [
  { strategy: 'consistent-hash', hashKey: undefined, warns: 1 },
  { strategy: 'consistent-hash', hashKey: 'url', warns: 0 },
  { strategy: 'hash', hashKey: undefined, warns: 1 },
  { strategy: 'ip-hash', hashKey: undefined, warns: 0 },
  { strategy: 'round-robin', hashKey: undefined, warns: 0 }
]) {
  test(`${strategy} with hashKey ${hashKey}: ${warns} warnings at boot`, async (t) => {
    const lines: string[] = []
    const stream = new Writable({
      write(line, _encoding, done) {
        lines.push(String(line))
        done()
      }
    })

    await startGateway(t, ['http://127.0.0.1:1'], {
      upstream: { strategy, ...(hashKey === undefined ? {} : { hashKey }) },
      server: { logger: { level: 'warn', stream } }
    })

    assert.equal(lines.filter((line) => line.includes('no hashKey')).length, warns)
  })
}
