import type { RouteConfig } from '../../config/index.ts'
import { InvalidRouteError } from '../../errors.ts'
import { canonicalPath, encodePath, pathFault } from './path.ts'

/** A path from the configuration as it is sent to a target. Throws `InvalidRouteError` if it cannot be sent. */
export function compileLiteralPath(route: string, value: string): string {
  const path = encodePath(value)
  const fault = pathFault(path)
  if (fault !== undefined) throw new InvalidRouteError(route, `${fault} in '${value}'`)
  return path
}

/** The part of the path that a match names, below its mount; `''` where it names none: a regular expression, or `/`. */
export function matchedPrefix({ match }: Pick<RouteConfig, 'match'>, mount: string): string {
  const { kind, value } = match.path
  return canonicalPath(encodePath(`${mount}/${kind === 'regex' ? '' : value}`)).replace(/\/$/, '')
}

/** How many segments a path has; a slash at its end begins none. */
export function countSegments(path: string): number {
  return path.split('/').filter((segment) => segment !== '').length
}

/** What follows the first segments of a raw path: `''`, or a path. Runs of slashes separate like one slash. */
export function afterSegments(path: string, count: number): string {
  let at = 0
  for (let i = 0; i < count; i++) {
    while (path.charCodeAt(at) === 0x2f) at++
    at = path.indexOf('/', at)
    if (at === -1) return ''
  }
  return path.slice(at)
}
