import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Target, type TargetOptions } from '../plugins/balancer/index.ts'
import { InvalidTargetError } from '../plugins/errors.ts'

const NOW = 50_000
const NO_CONTEXT = { key: undefined, tried: undefined }

const addresses = [
  { url: 'http://127.0.0.1:3001', expected: ['http:', '127.0.0.1', 3001, undefined, '127.0.0.1:3001'] },
  {
    url: 'http://backend1.example.com',
    expected: ['http:', 'backend1.example.com', 80, undefined, 'backend1.example.com']
  },
  { url: 'http://h:80', expected: ['http:', 'h', 80, undefined, 'h'] },
  { url: 'https://h', expected: ['https:', 'h', 443, undefined, 'h'] },
  { url: 'https://h:443', expected: ['https:', 'h', 443, undefined, 'h'] },
  { url: 'https://h:80', expected: ['https:', 'h', 80, undefined, 'h:80'] },
  { url: 'http://[::1]:3001', expected: ['http:', '::1', 3001, undefined, '[::1]:3001'] },
  { url: 'http://[::1]', expected: ['http:', '::1', 80, undefined, '[::1]'] },
  { url: 'HTTP://Example.COM:8080', expected: ['http:', 'example.com', 8080, undefined, 'example.com:8080'] },
  { url: 'unix:/run/app.sock', expected: ['http:', 'localhost', 80, '/run/app.sock', 'localhost'] }
]
for (const { url, expected } of addresses) {
  test(`the address of ${url} is read once`, () => {
    const target = new Target({ url })

    assert.deepEqual([target.protocol, target.hostname, target.port, target.socketPath, target.authority], expected)
  })
}

test('a url is kept as written, save for one slash at its end', () => {
  assert.equal(new Target({ url: 'HTTP://Example.COM:80/' }).url, 'HTTP://Example.COM:80')
})

const invalid: { options: TargetOptions; reason: RegExp }[] = [
  ...[
    '',
    'h:3001',
    'ftp://h',
    'http://',
    'http://h/base',
    'http://h//',
    'http://h?a=1',
    'http://h#x',
    'http://user:secret@h',
    'http://h:99999',
    'http://a b',
    ' http://h',
    'http://h\\x',
    'http://[::1',
    'unix:relative.sock',
    'unix:',
    'unix:/'
  ].map((url) => ({
    options: { url },
    reason: /expected http:\/\/host\[:port\], https:\/\/host\[:port\], unix:\/path, function:NAME or app:NAME/
  })),
  { options: { url: 'http://h:0' }, reason: /port 0/ },
  { options: { url: 'http://h', weight: -1 }, reason: /weight must be an integer from 0 to 65535/ },
  { options: { url: 'http://h', weight: 1.5 }, reason: /weight/ },
  { options: { url: 'http://h', weight: Number.NaN }, reason: /weight/ },
  { options: { url: 'http://h', weight: 65_536 }, reason: /weight/ },
  { options: { url: 'http://h', maxConnections: -1 }, reason: /maxConnections must be an integer, 0 or more/ },
  { options: { url: 'http://h', maxFails: 0.5 }, reason: /maxFails must be an integer, 0 or more/ },
  { options: { url: 'http://h', failTimeout: -1 }, reason: /failTimeout must be milliseconds, 0 or more/ },
  { options: { url: 'http://h', failTimeout: Number.NaN }, reason: /failTimeout/ },
  { options: JSON.parse('{"url":"http://h","backup":"yes"}'), reason: /backup must be true or false/ },
  {
    options: JSON.parse('{"url":"http://h","wieght":5}'),
    reason: /unknown option 'wieght', expected one of: url, weight/
  },
  { options: JSON.parse('{"url":7}'), reason: /'7' is invalid: the url must be a string/ },
  { options: JSON.parse('null'), reason: /the url must be a string/ }
]
for (const { options, reason } of invalid) {
  test(`a target is refused: ${JSON.stringify(options)}`, () => {
    assert.throws(
      () => new Target(options),
      (error) => error instanceof InvalidTargetError && reason.test(error.message)
    )
  })
}

const failed = { maxFails: 2, failTimeout: 1000 }
const states: {
  name: string
  options: Omit<TargetOptions, 'url'>
  state: Partial<Pick<Target, 'inFlight' | 'fails' | 'checked'>>
  expected: boolean
}[] = [
  { name: 'fresh', options: {}, state: {}, expected: true },
  { name: 'down', options: { down: true }, state: {}, expected: false },
  { name: 'of weight 0', options: { weight: 0 }, state: {}, expected: false },
  { name: 'below maxConnections', options: { maxConnections: 2 }, state: { inFlight: 1 }, expected: true },
  { name: 'at maxConnections', options: { maxConnections: 2 }, state: { inFlight: 2 }, expected: false },
  { name: 'busy without maxConnections', options: {}, state: { inFlight: 9999 }, expected: true },
  { name: 'below maxFails', options: failed, state: { fails: 1, checked: NOW }, expected: true },
  { name: 'at maxFails', options: failed, state: { fails: 2, checked: NOW }, expected: false },
  { name: 'failed failTimeout ago', options: failed, state: { fails: 2, checked: NOW - 1000 }, expected: false },
  { name: 'failed longer ago', options: failed, state: { fails: 2, checked: NOW - 1001 }, expected: true },
  { name: 'failing without maxFails', options: { maxFails: 0 }, state: { fails: 99, checked: NOW }, expected: true },
  { name: 'failing by default', options: {}, state: { fails: 1, checked: NOW - 10_000 }, expected: false },
  { name: 'recovered by default', options: {}, state: { fails: 1, checked: NOW - 10_001 }, expected: true }
]
for (const { name, options, state, expected } of states) {
  test(`a target that is ${name} is ${expected ? 'available' : 'not available'}`, () => {
    const target = Object.assign(new Target({ url: 'http://h', ...options }), state)

    assert.equal(
      target.isAvailable(NO_CONTEXT, () => NOW),
      expected
    )
  })
}

test('an option that is undefined has its default', () => {
  const target = new Target({ url: 'http://h', weight: undefined, maxFails: undefined, failTimeout: undefined })

  assert.deepEqual([target.weight, target.maxFails, target.failTimeout], [1, 1, 10_000])
})

test('a target that was tried is not available to that exchange', () => {
  const target = new Target({ url: 'http://h1' })
  const other = new Target({ url: 'http://h2' })
  const context = { key: undefined, tried: [target] }

  assert.equal(
    target.isAvailable(context, () => NOW),
    false
  )
  assert.equal(
    other.isAvailable(context, () => NOW),
    true
  )
})

test('the clock is not read while a target has no failures to judge', () => {
  const target = new Target({ url: 'http://h', maxFails: 2 })
  target.fails = 1

  assert.doesNotThrow(() =>
    target.isAvailable(NO_CONTEXT, () => {
      throw new Error('read')
    })
  )
})
