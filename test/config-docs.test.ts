import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEnv as parseDotEnv } from 'node:util'
import { renderEnvExample, renderPage, renderReference } from '../plugins/config/docs.ts'
import { loadConfigFile, parseEnv } from '../plugins/config/index.ts'

const page = readFileSync('docs/configuration.md', 'utf8')

test('the tables of docs/configuration.md are those of the schema', () => {
  assert.equal(page, renderPage(page))
  assert.ok(page.includes(renderReference()))
})

test('.env.example is that of the schema', () => {
  assert.equal(readFileSync('.env.example', 'utf8'), renderEnvExample())
})

test('.env.example changes nothing when it is used as it is', () => {
  assert.deepEqual(parseEnv(parseDotEnv(renderEnvExample())), parseEnv({}))
})

test('what .env.example shows in comments is accepted too', () => {
  const uncommented = renderEnvExample()
    .replaceAll(/^# (?=GATEWAY_\w+=)/gm, '')
    .replaceAll(/^GATEWAY_(CONFIG|TLS_\w+)=.*$/gm, '')
  const { config } = parseEnv(parseDotEnv(uncommented))

  assert.equal(config?.upstreams.default?.targets.length, 2)
})

test('the reference names keys at every depth, with their defaults', () => {
  const reference = renderReference()

  for (const row of [
    '| `upstreams.<name>.targets[].failTimeout` | duration | `10s` |',
    '| `upstreams.<name>.retry.on` | list (failure or status) | `[connect, reset, 502, 503, 504]` |',
    '| `routes[].upstream` | name, or list of mapping |  |',
    '| `routes[].match.path` | path, or `{ regex }` | `/*` |',
    '| `server.bodyLimit` | size | `0` |'
  ]) {
    assert.ok(reference.includes(row))
  }
})

test('the example of the page loads', (t) => {
  const example = /<!-- example:begin -->\n\n```yaml\n([\s\S]*?)```/.exec(page)?.[1]
  assert.ok(example !== undefined)
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'))
  t.after(() => rmSync(directory, { recursive: true }))
  writeFileSync(join(directory, 'gateway.yaml'), example)

  const { routes, upstreams } = loadConfigFile(join(directory, 'gateway.yaml'), {})

  assert.deepEqual(Object.keys(upstreams), ['users', 'next'])
  assert.deepEqual(
    routes.map(({ id }) => id),
    ['users', 'beta']
  )
  assert.equal(upstreams.next?.targets[0]?.url, 'https://next.example.com')
})
