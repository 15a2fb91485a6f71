// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are what the file may hold.
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadConfigFile, parseEnv, parseOptions } from '../plugins/config/index.ts'

/** A file of its own for one test, gone when the test ends. */
function write(t: TestContext, text: string, name = 'gateway.yaml'): string {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

function faultsOf(path: string, env: NodeJS.ProcessEnv = {}): string[] {
  try {
    loadConfigFile(path, env)
    return []
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'FST_GATEWAY_INVALID_CONFIG')
    // The directory differs from run to run.
    return error.message
      .replaceAll(/^.*\/gateway\./gm, 'gateway.')
      .split('\n')
      .slice(1)
  }
}

test('a YAML file makes the same snapshot as the same options in code', (t) => {
  const path = write(
    t,
    `
upstreams:
  users: &users
    targets: [http://127.0.0.1:3001]
    timeouts: { total: 1m }
  copy: *users
routes:
  - match: { path: /users/* }
    upstream: users
`
  )

  const users = { targets: ['http://127.0.0.1:3001'], timeouts: { total: '1m' } }
  assert.deepEqual(
    loadConfigFile(path, {}),
    parseOptions({ upstreams: { users, copy: users }, routes: [{ match: { path: '/users/*' }, upstream: 'users' }] })
  )
})

test('a JSON file may be indented with tabs', (t) => {
  const options = { upstreams: { users: { targets: ['http://127.0.0.1:3001'] } }, routes: [{ upstream: 'users' }] }
  const path = write(t, JSON.stringify(options, null, '\t'), 'gateway.json')

  assert.deepEqual(loadConfigFile(path, {}), parseOptions(options))
})

test('faults in a JSON file have their position too', (t) => {
  const path = write(t, '{\n\t"server": {\n\t\t"bodyLimit": "big"\n\t}\n}\n', 'gateway.json')

  assert.deepEqual(faultsOf(path), [
    "gateway.json:3:16 server.bodyLimit: found 'big', expected a size such as 512b, 64kb, 1mb, or a number of bytes"
  ])
})

const faults: [name: string, text: string, expected: string[]][] = [
  [
    'a wrong value, at the value',
    'upstreams:\n  users:\n    timeouts:\n      connect: fast\n',
    [
      "gateway.yaml:4:16 upstreams.users.timeouts.connect: found 'fast', expected a duration such as 250ms, 10s, 5m, or a number of milliseconds"
    ]
  ],
  [
    'an unknown key, at the key',
    'server: { bodyLimit: 1mb, timeout: 5s }\n',
    [
      "gateway.yaml:1:27 server.timeout: unknown key 'timeout', expected one of: workers, headersTimeout, requestTimeout, keepAliveTimeout, maxConnectionAge, maxHeaderSize, bodyLimit, http2, tls"
    ]
  ],
  [
    'a missing key, at what misses it',
    'upstreams:\n  a: {}\nroutes:\n  - id: x\n',
    ['gateway.yaml:4:5 routes[0].upstream: found nothing, expected an upstream, or a redirect in its place']
  ],
  [
    'a short form, at the text',
    'upstreams:\n  a:\n    targets:\n      - http://a\n      - http://b/c\n',
    ["gateway.yaml:5:9 upstreams.a.targets[1]: found 'http://b/c', expected a URL without a path (use rewrite.prefix)"]
  ],
  [
    'a key without a value',
    'upstreams:\n  a:\nserver: {}\n',
    ['gateway.yaml:2:5 upstreams.a: found null, expected a mapping']
  ],
  [
    'a value behind an alias, where it is written',
    'upstreams:\n  a: &a { timeouts: { idle: x } }\n  b: *a\n',
    [
      "gateway.yaml:2:29 upstreams.a.timeouts.idle: found 'x', expected a duration such as 250ms, 10s, 5m, or a number of milliseconds",
      "gateway.yaml:2:29 upstreams.b.timeouts.idle: found 'x', expected a duration such as 250ms, 10s, 5m, or a number of milliseconds"
    ]
  ],
  [
    'faults in the order of the file, whatever finds them',
    'routes:\n  - upstream: b\nupstreams:\n  a: { targets: [x] }\nserver: { x: 1 }\n',
    [
      "gateway.yaml:2:15 routes[0].upstream: found 'b', expected one of: a",
      "gateway.yaml:4:18 upstreams.a.targets[0]: found 'x', expected http://host:port, https://host:port, unix:/path, function:NAME or app:NAME, without user, query or fragment",
      "gateway.yaml:5:11 server.x: unknown key 'x', expected one of: workers, headersTimeout, requestTimeout, keepAliveTimeout, maxConnectionAge, maxHeaderSize, bodyLimit, http2, tls"
    ]
  ],
  [
    'a key that is there twice, besides other faults',
    'server: { bodyLimit: x }\nroutes: []\nroutes: []\n',
    [
      "gateway.yaml:1:22 server.bodyLimit: found 'x', expected a size such as 512b, 64kb, 1mb, or a number of bytes",
      'gateway.yaml:3:1 found a key that the mapping already has, expected each key once'
    ]
  ],
  [
    'broken syntax, where it begins',
    'server: 1\nserver: }}}\nroutes: []\nupstreams: }\n',
    [
      'gateway.yaml:2:1 found a key that the mapping already has, expected each key once',
      'gateway.yaml:2:9 Unexpected flow-map-end token in YAML stream: "}"'
    ]
  ],
  ['an empty file', '', ['gateway.yaml:1:1 found null, expected a mapping']],
  ['two documents', 'server: {}\n---\nroutes: []\n', ['gateway.yaml:2:1 found a second document, expected one']],
  ['an unknown tag', 'server: !x {}\n', ['gateway.yaml:1:9 Unresolved tag: !x']],
  ['an unknown alias', 'server: *x\n', ["gateway.yaml:1:9 Unknown alias '*x'"]],
  [
    'an alias within its own value',
    'upstreams: &u\n  a: *u\n',
    ["gateway.yaml:2:6 Alias '*u' stands within its own value"]
  ],
  ['the key __proto__', 'upstreams:\n  __proto__: {}\n', ["gateway.yaml:2:3 '__proto__' cannot be a key"]]
]

for (const [name, text, expected] of faults) {
  test(`found in the file: ${name}`, (t) => {
    assert.deepEqual(faultsOf(write(t, text)), expected)
  })
}

test('aliases that multiply each other are refused', (t) => {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const items = level === 0 ? 'x' : Array(9).fill(`*l${level - 1}`)
    return `  l${level}: &l${level} [${items}]\n`
  })
  const [fault, ...others] = faultsOf(write(t, `upstreams:\n${levels.join('')}`))

  assert.match(fault ?? '', /^gateway\.yaml:1:1 Excessive alias count/)
  assert.deepEqual(others, [])
})

test('a position is also given as numbers', (t) => {
  const path = write(t, '\n  server: 1\n')

  assert.throws(() => loadConfigFile(path, {}), {
    faults: [
      {
        text: `${path}:2:11 server: found 1, expected a mapping`,
        path: 'server',
        message: 'found 1, expected a mapping',
        position: { line: 2, column: 11 }
      }
    ]
  })
})

const substitutions: [written: string, env: NodeJS.ProcessEnv, value: unknown][] = [
  ['${A}', { A: 'x' }, 'x'],
  ['${A:-y}', { A: 'x' }, 'x'],
  ['${A:-y}', {}, 'y'],
  ['${A:-y}', { A: '' }, 'y'],
  ['${A:-}', {}, ''],
  ['${A}', { A: '' }, ''],
  ['a-${A}-${B:-c}', { A: 'b' }, 'a-b-c'],
  ['$${A}', { A: 'x' }, '${A}'],
  ['$$${A}', { A: 'x' }, '$${A}'],
  ['$A $', { A: 'x' }, '$A $'],
  ['${A}', { A: '${B}', B: 'x' }, '${B}'],
  ['${A}', { A: '5' }, 5],
  ['${A:-5}', {}, 5],
  ['${A}', { A: '-1.5' }, -1.5],
  ['${A}', { A: 'true' }, true],
  ['${A}', { A: 'null' }, null],
  ['${A}5', { A: '5' }, '55'],
  ['${A}', { A: '007' }, '007'],
  ['${A}', { A: '1.10' }, '1.10'],
  ['${A}', { A: '12345678901234567890' }, '12345678901234567890'],
  ['${A}', { A: '[1]' }, '[1]'],
  ['${A}', { A: '&a 5' }, '&a 5'],
  ['${A}', { A: '5 # x' }, '5 # x'],
  ['${A}', { A: '"5"' }, '"5"']
]

for (const [written, env, value] of substitutions) {
  test(`'${written}' with ${JSON.stringify(env)} is ${JSON.stringify(value)}`, (t) => {
    const path = write(t, `upstreams: { a: { strategy: { name: x, value: '${written}' } } }`)

    assert.equal(loadConfigFile(path, env).upstreams.a?.strategy.options.value, value)
  })
}

test('keys are not substituted', (t) => {
  const path = write(t, "upstreams: { '${A}': {} }")

  assert.deepEqual(Object.keys(loadConfigFile(path, { A: 'x' }).upstreams), ['${A}'])
})

test('a weight may come from the environment, in YAML and in JSON', (t) => {
  const target = '{ "url": "http://a", "weight": "${W:-5}" }'
  const yaml = write(t, `upstreams: { a: { targets: [${target}] } }`)
  const json = write(t, `{ "upstreams": { "a": { "targets": [${target}] } } }`, 'gateway.json')

  assert.equal(loadConfigFile(yaml, {}).upstreams.a?.targets[0]?.weight, 5)
  assert.equal(loadConfigFile(json, { W: '7' }).upstreams.a?.targets[0]?.weight, 7)
})

test('an unset variable is one fault, not two', (t) => {
  const path = write(t, "upstreams:\n  a:\n    targets:\n      - '${A}'\n      - url: ${B_}\n      - '${A}'\n")

  assert.deepEqual(faultsOf(path), [
    'gateway.yaml:4:9 upstreams.a.targets[0]: found ${A}, expected the environment variable A to be set, or ${A:-default}',
    'gateway.yaml:5:14 upstreams.a.targets[1].url: found ${B_}, expected the environment variable B_ to be set, or ${B_:-default}',
    'gateway.yaml:6:9 upstreams.a.targets[2]: found ${A}, expected the environment variable A to be set, or ${A:-default}'
  ])
})

for (const written of ['${', '${}', '${1}', '${A', '${A:-b', '${A-b}']) {
  test(`the incomplete reference '${written}' is a fault`, (t) => {
    const path = write(t, `trustedProxies: ['${written}']`)

    assert.deepEqual(faultsOf(path, { A: 'loopback' }), [
      "gateway.yaml:1:18 trustedProxies[0]: found an incomplete '${', expected ${NAME}, ${NAME:-default}, or $${ for a literal '${'"
    ])
  })
}

test('PEM files are relative to the configuration file', (t) => {
  const path = write(t, 'upstreams: { a: { tls: { ca: ca.pem } } }')
  copyFileSync('test/fixtures/certificate.pem', join(path, '../ca.pem'))

  assert.equal(loadConfigFile(path, {}).upstreams.a?.tls.ca, readFileSync('test/fixtures/certificate.pem', 'utf8'))
})

test('a file that does not exist is named in the error', () => {
  assert.throws(() => loadConfigFile('none.yaml', {}), {
    code: 'FST_GATEWAY_UNREADABLE_CONFIG',
    message: "Cannot read configuration file 'none.yaml': no such file"
  })
})

test('a directory is no configuration file', () => {
  assert.throws(() => loadConfigFile('test', {}), {
    code: 'FST_GATEWAY_UNREADABLE_CONFIG',
    message: "Cannot read configuration file 'test': it is a directory"
  })
})

test('an unknown strategy is a fault with its place and the nearest name, where all names are known', (t) => {
  const path = write(
    t,
    'upstreams:\n  a: { strategy: round-robbin, targets: [] }\n  b:\n    strategy:\n      name: randum\n'
  )

  assert.throws(() => parseEnv({ GATEWAY_CONFIG: path }, ['round-robin', 'random']), {
    message: `Invalid configuration
${path}:2:18 upstreams.a.strategy: found 'round-robbin', expected one of: round-robin, random (did you mean 'round-robin'?)
${path}:5:13 upstreams.b.strategy.name: found 'randum', expected one of: round-robin, random (did you mean 'random'?)`
  })
})
