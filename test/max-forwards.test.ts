import assert from 'node:assert/strict'
import { test } from 'node:test'
import { always, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRawTarget } from './helper.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

for (const [method, given, received] of [
  ['OPTIONS', '5', ['4']],
  ['OPTIONS', 'many', ['many']],
  ['OPTIONS', '99999999999', ['2147483647']],
  ['GET', '5', ['5']],
  ['GET', '0', ['0']]
] as const) {
  test(`${method} with Max-Forwards: ${given} reaches the target with ${received[0]} (RFC 9110, section 7.6.2)`, async (t) => {
    const target = always(OK)
    const { url } = await startRawTarget(t, target.onSocket)
    const gateway = await startGateway(t, [url])

    assert.equal((await send(gateway.port, { method, headers: { 'max-forwards': given } })).status, 200)
    assert.deepEqual(valuesOf(target.heads[0] ?? '', 'max-forwards'), received)
  })
}

test('OPTIONS with Max-Forwards: 0 is answered by the gateway (RFC 9110, section 7.6.2)', async (t) => {
  const target = always(OK)
  const { url } = await startRawTarget(t, target.onSocket)
  const gateway = await startGateway(t, [url])

  const reply = await send(gateway.port, { method: 'OPTIONS', headers: { 'max-forwards': '0' } })

  assert.deepEqual([reply.status, target.heads.length], [204, 0])
  assert.match(reply.headers.allow ?? '', /GET/)
})
