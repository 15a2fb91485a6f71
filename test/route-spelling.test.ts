import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileUrlRewrite } from '../plugins/proxy/rewriting/rewrite-url.ts'
import { parseHost } from '../plugins/proxy/routing/host.ts'
import { canonicalPath, readTarget } from '../plugins/proxy/routing/path.ts'
import { createRouteTable } from '../plugins/proxy/routing/route-table.ts'
import { path, route, seededRandom } from './route-helper.ts'

const random = seededRandom(7)
const chance = (probability: number) => random() < probability
const pick = <T>(values: readonly [T, ...T[]]): T => values[Math.floor(random() * values.length)] ?? values[0]

const PATTERNS = ['/a', '/a/', '/a/*', '/a/b/*', '/a/b', '/café/*', '/x;y/*', '/*'] as const
const PATHS = ['/', '/a', '/a/', '/a/b', '/a/b/c', '/ab', '/caf%C3%A9/x', '/x;y/z', '/a/b/'] as const
const HOSTS = ['a.test', 'b.a.test', 'other', '[::1]'] as const

/** The same path, written otherwise: needless escapes, hexadecimal digits in either case, repeated slashes. */
function respell(plain: string): string {
  return plain.replace(/%..|./g, (token) => {
    if (token === '/') return chance(0.2) ? '//' : '/'
    if (token.length === 3) return chance(0.5) ? token.toLowerCase() : token
    if (!chance(0.3)) return token
    const hex = token.charCodeAt(0).toString(16)
    return `%${chance(0.5) ? hex : hex.toUpperCase()}`
  })
}

/** The same host, written otherwise: in any case, with a port, with a dot at the end. */
function respellHost(host: string): string {
  const name = [...host].map((char) => (chance(0.3) ? char.toUpperCase() : char)).join('')
  const dot = host.startsWith('[') || chance(0.7) ? '' : '.'
  return name + dot + pick(['', ':80', ':8443', ':'])
}

test('however a request spells its path and its host, it finds the same route, and is rewritten to the same path', () => {
  let found = 0
  for (let round = 0; round < 200; round++) {
    const routes = Array.from({ length: 1 + (round % 6) }, (_, i) =>
      route({
        id: `r${i}`,
        match: { path: path(pick(PATTERNS)), hosts: chance(0.5) ? [pick(['a.test', '*.a.test', '[0::1]'])] : [] },
        rewrite: { prefix: pick(['/', '/v1', '/v1/']) }
      })
    )
    const table = createRouteTable(routes)
    for (let i = 0; i < 20; i++) {
      const [url, host] = [pick(PATHS), pick(HOSTS)]
      const [plain, other] = [readTarget(url, 'GET'), readTarget(respell(url), 'GET')]
      assert.ok(typeof plain !== 'string' && typeof other !== 'string')

      const expected = table.find('GET', host, plain.match, {}, '')
      const actual = table.find('GET', parseHost(respellHost(host)), other.match, {}, '')

      assert.equal(actual, expected, `${other.path} for ${plain.path}`)
      if (expected === undefined) continue
      found++
      const rewrite = compileUrlRewrite(expected)
      assert.equal(canonicalPath(rewrite?.(other.path, '') ?? ''), canonicalPath(rewrite?.(plain.path, '') ?? ''))
    }
  }
  assert.ok(found > 1000 && found < 3900, String(found))
})
