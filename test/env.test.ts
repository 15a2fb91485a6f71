// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are what the file may hold.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseEnv, parseOptions } from '../plugins/config/index.ts'

function faultsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    parseEnv(env)
    return []
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'FST_GATEWAY_INVALID_CONFIG')
    return error.message.split('\n').slice(1)
  }
}

function writeConfig(t: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'gateway.yaml')
  writeFileSync(path, text)
  return path
}

const defaults = {
  host: '127.0.0.1',
  port: 8080,
  workers: 1,
  logLevel: 'info',
  logPretty: undefined,
  accessLog: false,
  shutdownTimeout: 10_000,
  server: parseOptions({}).server,
  diagnostics: parseOptions({}).diagnostics,
  config: undefined,
  source: 'none',
  configFile: undefined
}

test('an environment without variables of the gateway gives the defaults', () => {
  assert.deepEqual(parseEnv({ PATH: '/bin' }), defaults)
})

test('an empty variable is an unset one', () => {
  const env = { GATEWAY_PORT: '', GATEWAY_CONFIG: '', GATEWAY_TARGETS: '', GATEWAY_LOG_PRETTY: '', GATEWAY_UNKNOWN: '' }

  assert.deepEqual(parseEnv(env), defaults)
})

test('the variables of the server are read', () => {
  const env = {
    GATEWAY_HOST: '::',
    GATEWAY_PORT: '0',
    GATEWAY_LOG_LEVEL: 'silent',
    GATEWAY_LOG_PRETTY: '1',
    GATEWAY_SHUTDOWN_TIMEOUT: '500'
  }

  assert.deepEqual(parseEnv(env), {
    ...defaults,
    host: '::',
    port: 0,
    logLevel: 'silent',
    logPretty: true,
    shutdownTimeout: 500
  })
})

for (const [value, expected] of [
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false]
] as const) {
  test(`GATEWAY_LOG_PRETTY=${value} means ${expected}`, () => {
    assert.equal(parseEnv({ GATEWAY_LOG_PRETTY: value }).logPretty, expected)
  })
}

test('targets alone make one upstream and one route', () => {
  const { config, source } = parseEnv({ GATEWAY_TARGETS: 'http://a' })

  assert.equal(source, 'targets')
  assert.deepEqual(
    config,
    parseOptions({
      upstreams: { default: { targets: ['http://a'] } },
      routes: [{ id: 'default', upstream: 'default' }]
    })
  )
})

test('targets have options, and the other variables go where they belong', () => {
  const { config } = parseEnv({
    GATEWAY_TARGETS:
      'http://127.0.0.1:3001;weight=5, http://127.0.0.1:3002;backup;down=false;maxConnections=10;maxFails=3;failTimeout=5s',
    GATEWAY_STRATEGY: 'consistent-hash',
    GATEWAY_HASH_KEY: 'cookie:id',
    GATEWAY_PATH: '/api/*',
    GATEWAY_REWRITE_PREFIX: '/v1',
    GATEWAY_REWRITE_HOST: 'target',
    GATEWAY_TRUSTED_PROXIES: '10.0.0.0/8, loopback'
  })

  assert.deepEqual(
    config,
    parseOptions({
      upstreams: {
        default: {
          strategy: 'consistent-hash',
          hashKey: 'cookie:id',
          targets: [
            { url: 'http://127.0.0.1:3001', weight: 5 },
            { url: 'http://127.0.0.1:3002', backup: true, maxConnections: 10, maxFails: 3, failTimeout: '5s' }
          ]
        }
      },
      routes: [
        {
          id: 'default',
          match: { path: '/api/*' },
          upstream: 'default',
          rewrite: { prefix: '/v1', host: 'target' }
        }
      ],
      trustedProxies: ['10.0.0.0/8', 'loopback']
    })
  )
})

test('a file is read, with the same environment', (t) => {
  const path = writeConfig(t, "upstreams: { a: { targets: ['${URL}'] } }")
  const { config, source, configFile } = parseEnv({ GATEWAY_CONFIG: path, URL: 'http://a' })

  assert.equal(source, 'file')
  assert.equal(configFile, path)
  assert.deepEqual(config, parseOptions({ upstreams: { a: { targets: ['http://a'] } } }))
})

const faults: [env: NodeJS.ProcessEnv, expected: string][] = [
  [{ GATEWAY_PORT: 'abc' }, "GATEWAY_PORT: found 'abc', expected a port 0-65535"],
  [{ GATEWAY_PORT: '65536' }, "GATEWAY_PORT: found '65536', expected a port 0-65535"],
  [{ GATEWAY_HOST: 'a b' }, "GATEWAY_HOST: found 'a b', expected a host name or an IP address"],
  [
    { GATEWAY_LOG_LEVEL: 'inf' },
    "GATEWAY_LOG_LEVEL: found 'inf', expected one of: trace, debug, info, warn, error, fatal, silent (did you mean 'info'?)"
  ],
  [{ GATEWAY_LOG_PRETTY: 'yes' }, "GATEWAY_LOG_PRETTY: found 'yes', expected true, false, 1 or 0"],
  [
    { GATEWAY_SHUTDOWN_TIMEOUT: 'soon' },
    "GATEWAY_SHUTDOWN_TIMEOUT: found 'soon', expected a duration such as 250ms, 10s, 5m, or a number of milliseconds"
  ],
  [
    { GATEWAY_TARGETS: 'http://a,b' },
    "GATEWAY_TARGETS[1].url: found 'b', expected http://host:port, https://host:port, unix:/path, function:NAME or app:NAME, without user, query or fragment"
  ],
  [
    { GATEWAY_TARGETS: 'http://a;weight=x' },
    "GATEWAY_TARGETS[0].weight: found 'x', expected a whole number, 0 or more"
  ],
  [
    { GATEWAY_TARGETS: 'http://a;bakup' },
    "GATEWAY_TARGETS[0].bakup: unknown key 'bakup', expected one of: url, weight, backup, priority, down, maxConnections, maxFails, failTimeout, check (did you mean 'backup'?)"
  ],
  [
    { GATEWAY_TARGETS: 'http://a,http://a' },
    "GATEWAY_TARGETS[1]: found 'http://a', expected a URL that no other target of the upstream has"
  ],
  [
    { GATEWAY_HASH_KEY: 'head:x' },
    "GATEWAY_HASH_KEY: found 'head:x', expected ip, path, url, header:NAME, cookie:NAME or query:NAME"
  ],
  [
    { GATEWAY_REWRITE_PREFIX: 'v1' },
    "GATEWAY_REWRITE_PREFIX: found 'v1', expected a path that starts with '/', without query"
  ],
  [
    { GATEWAY_TLS_CERT: 'test/fixtures/certificate.pem' },
    'GATEWAY_TLS_KEY: found nothing, expected PEM text, or the path of a PEM file'
  ],
  [
    { GATEWAY_TRUSTED_PROXIES: 'loopback,x' },
    "GATEWAY_TRUSTED_PROXIES[1]: found 'x', expected an IP address, a range such as 10.0.0.0/8, loopback, linklocal, uniquelocal or unix"
  ]
]

for (const [env, expected] of faults) {
  test(`refused: ${JSON.stringify(env)}`, () => {
    assert.deepEqual(faultsOf(env), [expected])
  })
}

test('an unknown variable is a fault, with the nearest known one', () => {
  const [fault, ...others] = faultsOf({ GATEWAY_PROT: '1' })

  assert.match(
    fault ?? '',
    /^GATEWAY_PROT: unknown variable 'GATEWAY_PROT', expected one of: GATEWAY_HOST, .*\(did you mean 'GATEWAY_PORT'\?\)$/
  )
  assert.deepEqual(others, [])
})

test('a file excludes the variables that say the same, and all faults are found at once', (t) => {
  const path = writeConfig(t, 'server: 1\n')
  const found = faultsOf({
    GATEWAY_CONFIG: path,
    GATEWAY_PORT: 'x',
    GATEWAY_TARGETS: 'http://a',
    GATEWAY_PATH: '/a',
    GATEWAY_LOG_LEVEL: 'debug'
  })

  assert.deepEqual(found, [
    "GATEWAY_PORT: found 'x', expected a port 0-65535",
    'GATEWAY_TARGETS: found beside GATEWAY_CONFIG, expected only one of the two; the file can say the same',
    'GATEWAY_PATH: found beside GATEWAY_CONFIG, expected only one of the two; the file can say the same',
    `${path}:1:9 server: found 1, expected a mapping`
  ])
})

test('a file that does not exist is named in the error', () => {
  assert.throws(() => parseEnv({ GATEWAY_CONFIG: 'none.yaml' }), { code: 'FST_GATEWAY_UNREADABLE_CONFIG' })
})
