import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouteConfig } from '../plugins/config/index.ts'
import { createRouteTable } from '../plugins/proxy/routing/route-table.ts'
import { path, route, seededRandom } from './route-helper.ts'

interface Request {
  method: string
  host: string
  path: string
  headers: Record<string, string>
  query: string
}

const HOSTS = ['a.test', 'b.a.test', 'c.b.a.test', 'test', 'other']
const HOST_PATTERNS = ['a.test', 'b.a.test', '*.a.test', '*.test', '*.b.a.test']
const PATHS = ['/', '/a', '/a/', '/a/b', '/a/b/c', '/ab', '/b/a', '/b']
const PATH_PATTERNS = ['/', '/a', '/a/', '/a/b', '/*', '/a/*', '/a/b/*', '/b/*', /a/, /^\/a\/b/, /b$/]
const METHODS = ['GET', 'PUT']

/** The words of the documentation, one route after the other. */
function slowFind(routes: readonly RouteConfig[], request: Request): RouteConfig | undefined {
  const ranked = routes.flatMap((candidate, index) => {
    const { match, order } = candidate
    const lengths = (match.hosts.length === 0 ? [''] : match.hosts)
      .filter(
        (host) => host === '' || host === request.host || (host[0] === '*' && request.host.endsWith(host.slice(1)))
      )
      .map((host) => (host === '' ? 0 : host[0] === '*' ? host.length : 1000))
    const { kind, value } = match.path
    const hit =
      lengths.length > 0 &&
      (kind === 'exact'
        ? request.path === value
        : kind === 'regex'
          ? new RegExp(value).test(request.path)
          : value === '/' || request.path === value || request.path.startsWith(`${value}/`)) &&
      (match.methods.length === 0 || match.methods.includes(request.method)) &&
      match.headers.every(({ name, value }) => request.headers[name] === value) &&
      match.query.every(({ name, value }) => new URLSearchParams(request.query).get(name) === value)
    if (!hit) return []
    const place = kind === 'exact' ? 3 : kind === 'regex' ? 1 : value === '/' ? 0 : 2
    const key = [-(order ?? 1_000), Math.max(...lengths), place, value.length, Math.min(match.methods.length, 1)]
    return [{ candidate, key: [...key, match.headers.length, match.query.length, -index] }]
  })
  ranked.sort((a, b) => b.key.map((part, i) => part - (a.key[i] ?? 0)).find((difference) => difference !== 0) ?? 0)
  return ranked[0]?.candidate
}

function generator(seed: number) {
  const random = seededRandom(seed)
  const chance = (probability: number) => random() < probability
  const pick = <T>(values: readonly T[]): T => {
    const value = values[Math.floor(random() * values.length)]
    assert.ok(value !== undefined)
    return value
  }
  const some = <T>(values: readonly T[]) => values.filter(() => chance(0.3))
  return { chance, pick, some }
}

function randomRoute(
  id: string,
  explicitOrder: boolean,
  { chance, pick, some }: ReturnType<typeof generator>
): RouteConfig {
  const values = some(['1', '2']).map((digit) => ({ name: `x${digit}`, kind: 'exact' as const, value: digit }))
  const match = {
    path: path(pick(PATH_PATTERNS)),
    hosts: chance(0.5) ? some(HOST_PATTERNS) : [],
    methods: chance(0.3) ? [pick(METHODS)] : [],
    headers: chance(0.3) ? values : [],
    query: chance(0.3) ? values : []
  }
  return route(explicitOrder && chance(0.4) ? { id, match, order: pick([-1, 0, 1]) } : { id, match })
}

function randomRequest({ chance, pick }: ReturnType<typeof generator>): Request {
  return {
    method: pick(METHODS),
    host: pick(HOSTS),
    path: pick(PATHS),
    headers: chance(0.5) ? { x1: '1', x2: pick(['1', '2']) } : {},
    query: pick(['', '?x1=1', '?x1=1&x2=2', '?x2=2&x2=1'])
  }
}

for (const explicitOrder of [false, true]) {
  test(`the table finds what a plain search finds, ${explicitOrder ? 'with' : 'without'} explicit orders`, () => {
    const random = generator(explicitOrder ? 1 : 2)
    let found = 0
    for (let round = 0; round < 300; round++) {
      const count = 1 + (round % 12)
      const routes = Array.from({ length: count }, (_, i) => randomRoute(`r${i}`, explicitOrder, random))
      const table = createRouteTable(routes)
      for (let i = 0; i < 20; i++) {
        const { method, host, path, headers, query } = randomRequest(random)
        const expected = slowFind(routes, { method, host, path, headers, query })
        if (expected !== undefined) found++

        assert.equal(table.find(method, host, path, headers, query), expected)
      }
    }
    assert.ok(found > 1000 && found < 5900)
  })
}
