import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runGateway } from './app-process-helper.ts'
import { ask, TOKEN, take } from './diagnostics-helper.ts'
import { freePort } from './helper.ts'

const ADDRESS = /Diagnostics listening at (http:\/\/127\.0\.0\.1:\d+)/

test('the stand-alone gateway has diagnostics by its variables, and stops in peace', async (t) => {
  const gateway = runGateway(t, {
    GATEWAY_PORT: '0',
    GATEWAY_TARGETS: 'http://127.0.0.1:1',
    GATEWAY_DIAGNOSTICS_ENABLED: 'true',
    GATEWAY_DIAGNOSTICS_TOKEN: TOKEN,
    GATEWAY_DIAGNOSTICS_PORT: '0'
  })
  await gateway.listening()
  const diagnostics = await gateway.printed(ADDRESS)

  const listed = await ask({ diagnostics }, '/artifacts')
  gateway.child.kill('SIGTERM')
  const { code } = await gateway.ended()

  assert.deepEqual(await listed.json(), [])
  assert.equal(code, 0)
})

test('workers have a listener each, on the next port that is free', async (t) => {
  const diagnosticsOptions = { enabled: true, token: TOKEN, port: await freePort(), minFree: 0 }
  const config = {
    server: { workers: 2 },
    upstreams: { any: { targets: ['http://127.0.0.1:1'] } },
    diagnostics: diagnosticsOptions
  }
  const gateway = runGateway(
    t,
    { GATEWAY_PORT: '0', GATEWAY_CONFIG: 'gateway.json' },
    { 'gateway.json': JSON.stringify(config) }
  )
  const first = await gateway.printed(ADDRESS)
  const second = await gateway.printed(new RegExp(ADDRESS.source.replace('(http', `((?!${first}\\b)http`)))

  const reports = [await take({ diagnostics: first }, '/report'), await take({ diagnostics: second }, '/report')]
  const listed: unknown[] = JSON.parse(await (await ask({ diagnostics: first }, '/artifacts')).text())

  assert.notEqual(reports[0]?.name.split('-')[3], reports[1]?.name.split('-')[3])
  assert.equal(listed.length, 2)
})
