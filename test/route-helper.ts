import type { IncomingHttpHeaders } from 'node:http'
import type { HeaderRules, RouteConfig, ValueMatch } from '../plugins/config/index.ts'
import { createRouteTable } from '../plugins/proxy/routing/route-table.ts'

/** What a test says of a route; everything else is as if the configuration did not mention it. */
export interface RouteSketch {
  id?: string
  match?: Partial<RouteConfig['match']>
  rewrite?: Partial<RouteConfig['rewrite']>
  request?: { headers?: Partial<HeaderRules>; query?: Partial<HeaderRules> }
  response?: { headers?: Partial<HeaderRules> }
  upstream?: string
  redirect?: RouteConfig['redirect']
  order?: number
}

export function route(sketch: RouteSketch = {}): RouteConfig {
  return {
    id: sketch.id ?? 'route-1',
    match: { path: { kind: 'prefix', value: '/' }, hosts: [], methods: [], headers: [], query: [], ...sketch.match },
    upstreams: [{ upstream: sketch.upstream ?? 'users', weight: 1 }],
    sticky: undefined,
    mirrors: [],
    redirect: sketch.redirect,
    rewrite: { host: 'preserve', reverse: false, ...sketch.rewrite },
    request: { headers: rules(sketch.request?.headers), query: rules(sketch.request?.query) },
    response: { headers: rules(sketch.response?.headers) },
    upgrade: true,
    retry: { idempotencyKey: false },
    middleware: [],
    order: sketch.order
  }
}

/** `/users` exactly, `/users/*` as prefix, and a regular expression as such. */
export function path(pattern: string | RegExp): RouteConfig['match']['path'] {
  if (typeof pattern !== 'string') return { kind: 'regex', value: pattern.source }
  if (!pattern.endsWith('/*')) return { kind: 'exact', value: pattern }
  return { kind: 'prefix', value: pattern.slice(0, -2) || '/' }
}

export function rules(sketch: Partial<HeaderRules> = {}): HeaderRules {
  return { set: [], add: [], remove: [], ...sketch }
}

/** A request to find a route for. */
export interface Asked {
  method?: string
  host?: string
  path?: string
  headers?: IncomingHttpHeaders
  query?: string
}

/** The id of the route that a table of these finds. */
export function find(sketches: RouteSketch[], asked: Asked, mount?: string): string | undefined {
  const table = createRouteTable(sketches.map(route), mount === undefined ? {} : { mount })
  const { method = 'GET', host, path = '/', headers = {}, query = '' } = asked
  return table.find(method, host, path, headers, query)?.id
}

/** A sketch with that path, and the path as id. */
export function at(pattern: string | RegExp, rest: RouteSketch = {}): RouteSketch {
  const id = typeof pattern === 'string' ? pattern : String(pattern)
  return { id, ...rest, match: { path: path(pattern), ...rest.match } }
}

export const exact = (name: string, value: string): ValueMatch => ({ name, kind: 'exact', value })
export const regex = (name: string, value: string): ValueMatch => ({ name, kind: 'regex', value })
export const present = (name: string): ValueMatch => ({ name, kind: 'present', value: '' })

/** Random numbers in [0, 1) that are the same in every run (Mulberry32, Tommy Ettinger, public domain). */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
