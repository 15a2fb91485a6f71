import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileHeaderRules } from '../plugins/proxy/rewriting/header-rules.ts'
import { compileUrlRewrite } from '../plugins/proxy/rewriting/rewrite-url.ts'
import { parseHost } from '../plugins/proxy/routing/host.ts'
import { readTarget } from '../plugins/proxy/routing/path.ts'
import { createRouteTable } from '../plugins/proxy/routing/route-table.ts'
import { fixture } from './helper.ts'
import { type RouteSketch, route } from './route-helper.ts'

type Headers = Record<string, string>

interface Expected {
  url?: string
  host?: string
  headers?: Headers
  absent?: string[]
}

interface Row {
  method: string
  host?: string
  url: string
  headers?: Headers
  upstream: string | null
  sent?: Expected
  answer?: { headers: Headers }
  answered?: Expected
}

const { suites } = fixture<{ suites: { test: string; routes: RouteSketch[]; rows: Row[] }[] }>(
  'gateway-api-routing.json'
)

for (const { test: suite, routes, rows } of suites) {
  const table = createRouteTable(routes.map((sketch, i) => route({ ...sketch, id: `${suite}-${i}` })))

  for (const row of rows) {
    const asked = [row.method, `${row.host ?? ''}${row.url}`, ...Object.entries(row.headers ?? {}).flat()].join(' ')
    test(`Gateway API ${suite}: ${asked} goes to ${row.upstream ?? 'no one'}`, () => {
      const target = readTarget(row.url, row.method)
      assert.ok(typeof target !== 'string')
      const headers = lowerCased(row.headers)

      const found = table.find(row.method, parseHost(row.host), target.match, headers, target.query)

      assert.equal(found?.upstreams[0]?.upstream ?? null, row.upstream)
      if (found === undefined) return
      if (row.sent?.url !== undefined) {
        const rewrite = compileUrlRewrite(found)
        assert.equal(rewrite?.(target.path, target.query) ?? row.url, row.sent.url)
      }
      if (row.sent !== undefined) assertHeaders(found.request.headers, row.headers, row.sent)
      if (row.sent?.host !== undefined && found.rewrite.host !== 'preserve') {
        assert.equal(found.rewrite.host, row.sent.host)
      }
      if (row.answered !== undefined) assertHeaders(found.response.headers, row.answer?.headers, row.answered)
    })
  }
}

function assertHeaders(rules: Parameters<typeof compileHeaderRules>[0], before: Headers | undefined, after: Expected) {
  const pairs = Object.entries(before ?? {}).flat()
  const edited = compileHeaderRules(rules)?.(pairs) ?? pairs
  const joined: Headers = {}
  for (let i = 0; i + 1 < edited.length; i += 2) {
    const name = (edited[i] ?? '').toLowerCase()
    const value = edited[i + 1] ?? ''
    joined[name] = joined[name] === undefined ? value : `${joined[name]},${value}`
  }

  assert.deepEqual(joined, { ...joined, ...lowerCased(after.headers) })
  for (const name of after.absent ?? []) assert.equal(joined[name.toLowerCase()], undefined)
}

function lowerCased(headers: Headers = {}): Headers {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
