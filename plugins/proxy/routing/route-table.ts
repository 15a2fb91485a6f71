import type { IncomingHttpHeaders } from 'node:http'
import { InvalidRouteError } from '../../errors.ts'
import { parseHost } from './host.ts'
import { type Conditions, compileConditions, compilePattern, meets, type Routable } from './match.ts'
import { canonicalPath, encodePath, pathFault } from './path.ts'
import { comparePrecedence, type Precedence } from './precedence.ts'

/** Finds the route of a request. */
export interface RouteTable<T> {
  /**
   * The most specific route that matches, or `undefined`.
   *
   * @param host as `parseHost` returns it; `undefined` if the request has none
   * @param path in canonical spelling, the `match` of `readTarget`
   * @param query raw, with its leading `?`
   */
  find(
    method: string,
    host: string | undefined,
    path: string,
    headers: IncomingHttpHeaders,
    query: string
  ): T | undefined
}

export interface RouteTableOptions {
  /** Path that all patterns are relative to, such as the prefix of the Fastify scope. @default '' */
  mount?: string
}

/** One route under one of its hosts. */
interface Candidate<T> extends Precedence {
  readonly route: T
  readonly conditions: Conditions
  readonly pattern: RegExp | undefined
  /** Place among all candidates of the table; the lowest that matches wins. */
  rank: number
}

/**
 * Builds the table: one map of paths per host, and per path the candidates in order of precedence, so that a search costs
 * a few lookups per segment however many routes there are. Only regular expressions are tried one after the other.
 *
 * Throws `InvalidRouteError` for a pattern that cannot be compiled or that no request can match.
 */
export function createRouteTable<T extends Routable>(
  routes: readonly T[],
  { mount = '' }: RouteTableOptions = {}
): RouteTable<T> {
  const candidates = routes.flatMap((route) => compileRoute(route)).sort(comparePrecedence)
  const ordered = candidates.some(({ order }) => order !== candidates[0]?.order)
  const root = mount === '' ? '' : canonicalPath(encodePath(mount)).replace(/\/$/, '')

  const hosts = new Map<string, PathTable<T>>()
  let longestWildcard = 0
  for (const [rank, candidate] of candidates.entries()) {
    candidate.rank = rank
    const table = hosts.get(candidate.host) ?? new PathTable<T>(ordered)
    hosts.set(candidate.host, table)
    table.add(candidate)
    if (candidate.host.startsWith('.')) longestWildcard = Math.max(longestWildcard, candidate.host.length)
  }
  const anyHost = hosts.get('')
  hosts.delete('')

  return {
    find(method, host, path, headers, query) {
      const inner = root === '' ? path : below(root, path)
      if (inner === undefined || inner.charCodeAt(0) !== 0x2f) return undefined

      let best: Candidate<T> | undefined
      if (host !== undefined && hosts.size > 0) {
        best = hosts.get(host)?.find(method, inner, headers, query, best)
        // From left to right the suffixes come longest first.
        for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
          if (best !== undefined && !ordered) return best.route
          if (host.length - dot > longestWildcard) continue
          best = hosts.get(host.slice(dot))?.find(method, inner, headers, query, best) ?? best
        }
      }
      if (best === undefined || ordered) best = anyHost?.find(method, inner, headers, query, best) ?? best
      return best?.route
    }
  }
}

/** The candidates of one host by path. */
class PathTable<T> {
  readonly #ordered: boolean
  readonly #exact = new Map<string, Candidate<T>[]>()
  readonly #prefixes = new Map<string, Candidate<T>[]>()
  readonly #prefixLengths = new Set<number>()
  readonly #patterns: Candidate<T>[] = []
  readonly #rest: Candidate<T>[] = []
  #longestPrefix = 0

  /** @param ordered whether some route has an explicit order, so that the first match need not be the best */
  constructor(ordered: boolean) {
    this.#ordered = ordered
  }

  /** Candidates are added in the order of their ranks. */
  add(candidate: Candidate<T>): void {
    const { kind, path } = candidate
    if (kind === 'exact') append(this.#exact, path, candidate)
    else if (kind === 'regex') this.#patterns.push(candidate)
    else if (kind === 'rest') this.#rest.push(candidate)
    else {
      append(this.#prefixes, path, candidate)
      this.#prefixLengths.add(path.length)
      this.#longestPrefix = Math.max(this.#longestPrefix, path.length)
    }
  }

  /** The best of `best` and the candidates of this host. */
  find(
    method: string,
    path: string,
    headers: IncomingHttpHeaders,
    query: string,
    best: Candidate<T> | undefined
  ): Candidate<T> | undefined {
    best = better(this.#exact.get(path), method, path, headers, query, best)
    if (best !== undefined && !this.#ordered) return best

    let end = path.length > this.#longestPrefix ? path.lastIndexOf('/', this.#longestPrefix) : path.length
    for (; end > 0; end = path.lastIndexOf('/', end - 1)) {
      if (!this.#prefixLengths.has(end)) continue
      best = better(this.#prefixes.get(path.slice(0, end)), method, path, headers, query, best)
      if (best !== undefined && !this.#ordered) return best
    }

    best = better(this.#patterns, method, path, headers, query, best)
    if (best !== undefined && !this.#ordered) return best
    return better(this.#rest, method, path, headers, query, best)
  }
}

/** The first of the sorted candidates that matches, unless `best` goes before it. */
function better<T>(
  candidates: readonly Candidate<T>[] | undefined,
  method: string,
  path: string,
  headers: IncomingHttpHeaders,
  query: string,
  best: Candidate<T> | undefined
): Candidate<T> | undefined {
  if (candidates === undefined) return best
  for (const candidate of candidates) {
    if (best !== undefined && best.rank < candidate.rank) return best
    if (candidate.pattern !== undefined && !candidate.pattern.test(path)) continue
    if (meets(candidate.conditions, method, headers, query)) return candidate
  }
  return best
}

function compileRoute<T extends Routable>(route: T): Candidate<T>[] {
  const { kind, path, pattern } = compilePath(route)
  const conditions = compileConditions(route)
  const hosts = route.match.hosts.length === 0 ? [''] : route.match.hosts.map((host) => compileHost(route.id, host))
  return hosts.map((host) => ({
    route,
    conditions,
    pattern,
    rank: 0,
    order: route.order ?? Number.POSITIVE_INFINITY,
    host,
    kind,
    path,
    methods: conditions.methods.length,
    headers: conditions.headers.length,
    parameters: conditions.query.length
  }))
}

function compilePath({ id, match }: Routable): Pick<Candidate<never>, 'kind' | 'path' | 'pattern'> {
  const { kind, value } = match.path
  if (kind === 'regex') return { kind, path: value, pattern: compilePattern(id, value) }

  const path = encodePath(value)
  const fault = path.startsWith('/') ? pathFault(path) : 'no leading slash'
  if (fault !== undefined) throw new InvalidRouteError(id, `${fault} in '${value}'`)
  const canonical = canonicalPath(path)
  if (kind === 'exact') return { kind, path: canonical, pattern: undefined }
  const prefix = canonical.endsWith('/') ? canonical.slice(0, -1) : canonical
  return { kind: prefix === '' ? 'rest' : 'prefix', path: prefix, pattern: undefined }
}

/** `''` for any host, `.example.com` for `*.example.com`. */
function compileHost(route: string, value: string): string {
  if (value === '*') return ''
  const wildcard = value.startsWith('*.')
  const host = parseHost(wildcard ? value.slice(2) : value)
  if (host === undefined) throw new InvalidRouteError(route, `'${value}' is not a host`)
  return wildcard ? `.${host}` : host
}

function append<V>(map: Map<string, V[]>, key: string, value: V): void {
  const values = map.get(key)
  if (values === undefined) map.set(key, [value])
  else values.push(value)
}

/** The path below the mount; `undefined` if it is elsewhere. */
function below(root: string, path: string): string | undefined {
  if (!path.startsWith(root)) return undefined
  if (path.length === root.length) return '/'
  return path.charCodeAt(root.length) === 0x2f ? path.slice(root.length) : undefined
}
