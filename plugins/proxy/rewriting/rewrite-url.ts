import type { RouteConfig } from '../../config/index.ts'
import { BadPathError, InvalidRouteError } from '../../errors.ts'
import { compilePattern } from '../routing/match.ts'
import { encodePath, pathFault } from '../routing/path.ts'
import { afterSegments, compileLiteralPath, countSegments, matchedPrefix } from '../routing/prefix.ts'
import { compileQueryRules } from './query.ts'

/**
 * The request target to send, from the raw path and the raw query of the client. Throws `BadPathError` if a regular
 * expression of the route made a path that must not be sent, such as one with dot segments.
 */
export type UrlRewrite = (path: string, query: string) => string

/** A raw path made from another. */
export type PathRewrite = (path: string) => string

type Matched = Pick<RouteConfig, 'id' | 'match'>
type Rewritable = Matched & Pick<RouteConfig, 'rewrite'> & { request: Pick<RouteConfig['request'], 'query'> }
type PathChange = Pick<RouteConfig['rewrite'], 'prefix' | 'path' | 'regex'>

export interface RewriteOptions {
  /** Path that the patterns of the route are relative to, as given to the route table. @default '' */
  mount?: string
}

/** Compiles what a route changes in path and query; `undefined` if that is nothing. */
export function compileUrlRewrite(route: Rewritable, { mount = '' }: RewriteOptions = {}): UrlRewrite | undefined {
  const rewritePath = compilePathRewrite(route, route.rewrite, mount)
  const editQuery = compileQueryRules(route.request.query)
  if (rewritePath === undefined) return editQuery && ((path, query) => path + editQuery(query))
  if (editQuery === undefined) return (path, query) => rewritePath(path) + query
  return (path, query) => rewritePath(path) + editQuery(query)
}

/** Compiles a change of the path; `undefined` if there is none. */
export function compilePathRewrite(
  route: Matched,
  { path, prefix, regex }: PathChange,
  mount: string
): PathRewrite | undefined {
  if (path !== undefined) {
    const replacement = compileLiteralPath(route.id, path)
    return () => replacement
  }
  if (prefix !== undefined) return replacePrefix(route, prefix, mount)
  if (regex !== undefined) return replacePattern(route.id, regex, mount)
  return undefined
}

/**
 * ReplacePrefixMatch of the Gateway API. It cuts by segments and not by length, since the client may have spelt the prefix
 * with escapes or repeated slashes; what follows keeps its bytes.
 *
 * @see https://gateway-api.sigs.k8s.io/reference/spec/#httppathmodifier
 */
function replacePrefix(route: Matched, replacement: string, mount: string): PathRewrite {
  const base = compileLiteralPath(route.id, replacement).replace(/\/$/, '')
  const segments = countSegments(matchedPrefix(route, mount))
  return (path) => base + afterSegments(path, segments) || '/'
}

function replacePattern(route: string, { from, to }: { from: string; to: string }, mount: string): PathRewrite {
  if (/[?#\\]/.test(to))
    throw new InvalidRouteError(route, `'${to}' is more than a path; request.query changes the query`)
  const pattern = compilePattern(route, from)
  const replacement = encodePath(to)
  const segments = countSegments(mount)
  return (path) => {
    const inner = afterSegments(path, segments) || '/'
    const replaced = inner.replace(pattern, replacement)
    const result = replaced.startsWith('/') ? replaced : `/${replaced}`
    // The replacement may join dots that the client had kept apart: /a../x without its /a is /../x.
    const fault = result === path ? undefined : pathFault(result)
    if (fault !== undefined) throw new BadPathError(fault)
    return result
  }
}
