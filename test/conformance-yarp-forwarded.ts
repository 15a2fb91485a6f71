import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { RawClient, send, startGateway, valuesOf } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'

const TRUSTED = { options: { trustedProxies: ['127.0.0.1', '::1'] } }
const REMOVED = {
  route: { request: { headers: { remove: ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'] } } }
}
const LISTS = [[], ['existing,Header'], ['existing', 'Header']]

conformsEach(
  'RequestHeaderXForwardedForTransformTests.RemoteIp_Added (Set)',
  'the address of the client takes the place of what it claims, IPv4 always written as such',
  [
    { host: '127.0.0.1', address: '127.0.0.1', expected: '127.0.0.1' },
    { host: '::1', address: '::1', expected: '::1' },
    { host: '::', address: '127.0.0.1', expected: '127.0.0.1' },
    { host: '::', address: '::1', expected: '::1' }
  ],
  ({ host, address }) => `${address} at ${host}`,
  async (t, { host, address, expected }) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], { host })

    for (const lines of LISTS) await send(gateway.port, { host: address, headers: { 'x-forwarded-for': lines } })

    for (const { head } of target.requests) assert.deepEqual(valuesOf(head, 'x-forwarded-for'), [expected])
    assert.equal(target.requests.length, LISTS.length)
  }
)

conformsEach(
  'RequestHeaderXForwardedForTransformTests.RemoteIp_Added (Append)',
  'the address of a trusted proxy comes after those that it sends',
  [
    { host: '127.0.0.1', address: '127.0.0.1', expected: '127.0.0.1' },
    { host: '::', address: '127.0.0.1', expected: '127.0.0.1' },
    { host: '::', address: '::1', expected: '::1' }
  ],
  ({ host, address }) => `${address} at ${host}`,
  async (t, { host, address, expected }) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], { ...TRUSTED, host })

    for (const lines of LISTS) await send(gateway.port, { host: address, headers: { 'x-forwarded-for': lines } })

    const lists = target.requests.map(({ head }) => valuesOf(head, 'x-forwarded-for').join(', '))
    assert.deepEqual(lists, [expected, `existing,Header, ${expected}`, `existing, Header, ${expected}`])
  }
)

conforms(
  'RequestHeaderXForwardedForTransformTests.RemoteIp_Added (no address)',
  'a client without an address, as at a unix socket, adds none, and keeps nothing it claims',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const socketPath = join(folder, 'gateway.sock')
    await new Promise<void>((resolve) => gateway.app.server.close(() => resolve()))
    await new Promise<void>((resolve) => gateway.app.server.listen(socketPath, resolve))

    const reply = await send(0, { socketPath, headers: { 'x-forwarded-for': 'me' } })

    assert.equal(reply.status, 200)
    assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'x-forwarded-for'), [])
  }
)

conforms(
  'RequestHeaderXForwardedForTransformTests.RemoteIp_Added (Remove)',
  'a route may remove x-forwarded-for, -host and -proto',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], REMOVED)

    await send(gateway.port, { headers: { 'x-forwarded-for': 'a', 'x-forwarded-host': 'b', 'x-forwarded-proto': 'c' } })

    assert.doesNotMatch(target.requests[0]?.head ?? '', /^x-forwarded-/im)
  }
)

conformsEach(
  'RequestHeaderXForwardedHostTransformTests.Host_Added (Set)',
  'x-forwarded-host is the Host of the request, as it was sent',
  ['host', 'host:80', '[::1]:80', '[::1]'],
  (host) => host,
  async (t, host) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], { route: { rewrite: { host: 'target' } } })

    for (const lines of LISTS) await send(gateway.port, { headers: { host, 'x-forwarded-host': lines } })

    for (const { head } of target.requests) assert.deepEqual(valuesOf(head, 'x-forwarded-host'), [host])
  }
)

conforms(
  'RequestHeaderXForwardedHostTransformTests.Host_Added (no host)',
  'a request without a Host has no x-forwarded-host',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])
    const client = new RawClient(t, gateway.port)

    client.write('GET / HTTP/1.0\r\nX-Forwarded-Host: me\r\n\r\n')
    await client.end()

    assert.deepEqual(valuesOf(target.requests[0]?.head ?? '', 'x-forwarded-host'), [])
  }
)

conforms(
  'RequestHeaderXForwardedProtoTransformTests.Scheme_Added (Set)',
  'x-forwarded-proto is the scheme of the request, whatever the client claims',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url])

    for (const lines of LISTS) await send(gateway.port, { headers: { 'x-forwarded-proto': lines } })

    for (const { head } of target.requests) assert.deepEqual(valuesOf(head, 'x-forwarded-proto'), ['http'])
  }
)

differs(
  'RequestHeaderXForwardedHostTransformTests.Host_Added, RequestHeaderXForwardedProtoTransformTests.Scheme_Added (Append)',
  'what a trusted proxy says of host and scheme is kept, and nothing is appended',
  'both are facts of the first request, not lists; targets read only one value',
  async (t) => {
    const target = await startRecordingTarget(t)
    const gateway = await startGateway(t, [target.url], TRUSTED)

    await send(gateway.port, { headers: { 'x-forwarded-host': 'first.test', 'x-forwarded-proto': 'https' } })

    const head = target.requests[0]?.head ?? ''
    assert.deepEqual(valuesOf(head, 'x-forwarded-host'), ['first.test'])
    assert.deepEqual(valuesOf(head, 'x-forwarded-proto'), ['https'])
  }
)
