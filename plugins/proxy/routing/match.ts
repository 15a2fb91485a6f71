import type { IncomingHttpHeaders } from 'node:http'
import type { RouteConfig, ValueMatch } from '../../config/index.ts'
import { InvalidRouteError } from '../../errors.ts'
import { firstQueryValue } from '../rewriting/query.ts'

/** What the route table has to know of a route. A `RouteConfig` is one, and so is anything that carries these fields. */
export type Routable = Pick<RouteConfig, 'id' | 'match' | 'order'>

interface ValueTest {
  readonly name: string
  /** Exact value, pattern, or nothing: then presence is enough. */
  readonly expected: string | RegExp | undefined
}

/** The conditions of a route that remain when host and path have matched. */
export interface Conditions {
  readonly methods: readonly string[]
  readonly headers: readonly ValueTest[]
  readonly query: readonly ValueTest[]
}

/** Compiles the method, header and query matches of a route. */
export function compileConditions({ id, match }: Routable): Conditions {
  return {
    methods: match.methods,
    headers: match.headers.map((header) => compileTest(id, header)),
    query: match.query.map((parameter) => compileTest(id, parameter))
  }
}

/** Whether a request meets all conditions of a route. */
export function meets(conditions: Conditions, method: string, headers: IncomingHttpHeaders, query: string): boolean {
  if (conditions.methods.length > 0 && !conditions.methods.includes(method)) return false
  for (const test of conditions.headers) {
    if (!passes(test, headerValue(headers, test.name))) return false
  }
  for (const test of conditions.query) {
    if (!passes(test, firstQueryValue(query, test.name))) return false
  }
  return true
}

/** Compiles a regular expression of a route. Throws `InvalidRouteError` if it is none. */
export function compilePattern(route: string, source: string): RegExp {
  try {
    return new RegExp(source)
  } catch (error) {
    throw new InvalidRouteError(route, error instanceof Error ? error.message : String(error))
  }
}

function compileTest(route: string, { name, kind, value }: ValueMatch): ValueTest {
  if (kind === 'present') return { name, expected: undefined }
  return { name, expected: kind === 'exact' ? value : compilePattern(route, value) }
}

function passes({ expected }: ValueTest, value: string | undefined): boolean {
  if (value === undefined) return false
  if (expected === undefined) return true
  return typeof expected === 'string' ? expected === value : expected.test(value)
}

function headerValue(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value: unknown = headers[name]
  if (typeof value === 'string') return value
  return Array.isArray(value) ? value.join(', ') : undefined
}
