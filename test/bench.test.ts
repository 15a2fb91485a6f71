import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare } from '../bench/compare.ts'
import { http, requestOf } from '../bench/exchanges.ts'
import { load } from '../bench/load.ts'
import { interleave, median, quantile, table, timePerCall } from '../bench/measure.ts'
import { OWN, proxies } from '../bench/proxies/index.ts'
import { portOf, startTarget } from './helper.ts'

const quantiles = [
  { values: [3], share: 0.5, expected: 3 },
  { values: [4, 1, 3, 2], share: 0.5, expected: 2 },
  { values: [5, 1, 4, 2, 3], share: 0.5, expected: 3 },
  { values: Array.from({ length: 100 }, (_, i) => i + 1), share: 0.99, expected: 99 },
  { values: [1, 2], share: 1, expected: 2 },
  { values: [], share: 0.5, expected: Number.NaN }
]
for (const { values, share, expected } of quantiles) {
  test(`the ${share} quantile of ${values.length} values is ${expected}`, () => {
    assert.equal(quantile(values, share), expected)
  })
}

test('each round begins with another case, and the first round does not count', async () => {
  const order: string[] = []
  const cases = ['a', 'b', 'c'].map((name) => ({ name, run: () => order.push(name) }))

  const results = await interleave(cases, 2)

  assert.equal(order.join(''), 'abcbcacab')
  assert.deepEqual(Object.fromEntries(results), { a: [6, 8], b: [4, 9], c: [5, 7] })
  assert.equal(median(results.get('b') ?? []), 4)
})

test('a call that finds nothing is no measurement', () => {
  assert.throws(() => timePerCall(4, (call) => (call === 2 ? undefined : call)), /1 of 4 calls found nothing/)
})

test('a table has columns of even width', () => {
  assert.equal(table(['name', 'n'], [['a', '1000']]), '| name |    n |\n| ---- | ---: |\n| a    | 1000 |\n')
})

test('the load generator sends exactly the requests it was asked for, and times each', async (t) => {
  let requests = 0
  const { server } = await startTarget(t, (_request, response) => {
    requests++
    response.setHeader('content-length', 4)
    response.write('bo')
    response.end('dy')
  })

  const { seconds, latencies } = await load({ port: portOf(server), requests: 50, connections: 3 })

  assert.equal(requests, 50)
  assert.equal(latencies.length, 50)
  assert.ok(seconds > 0 && latencies.every((latency) => latency > 0))
})

const failures = [
  { name: 'a status other than 200', status: 503, headers: { 'content-length': 0 } },
  { name: 'an answer without a length', status: 200, headers: {} }
]
for (const { name, status, headers } of failures) {
  test(`the load generator refuses ${name}`, async (t) => {
    const { server } = await startTarget(t, (_request, response) => {
      response.writeHead(status, headers)
      response.end(status === 200 ? 'body' : '')
    })

    await assert.rejects(load({ port: portOf(server), requests: 5, connections: 1 }), /unexpected answer: HTTP\/1.1/)
  })
}

test('a comparison has a row for each server that is there, and says who is left out', async () => {
  const exchange = http(requestOf('POST', '/bytes/70000', 70_000))
  const scenario = { title: 'tiny', exchange, connections: 2, requests: 4 }
  const absent = { name: 'absent', prepare: () => 'it is not there' }
  const present = proxies.filter(({ name }) => name === OWN || name === 'node:http, no proxy')

  const text = await compare(scenario, [...present, absent], { rounds: 1, requests: 4 })

  const rows = text.split('\n').map((row) => row.split('|').map((cell) => cell.trim()))
  assert.deepEqual(
    rows.filter((row) => row.length > 2).map(([, name]) => name?.replace(/^-+$/, '')),
    ['tiny', '', OWN, 'node:http, no proxy']
  )
  assert.ok(rows.slice(2, 4).every((row) => Number.parseFloat(row[5] ?? '') > 0 && row.at(-2) === '0'))
  assert.match(text, /absent is left out: it is not there$/)
})
