import type { Routable } from './match.ts'
import { canonicalPath, encodePath } from './path.ts'

const MAX_SEGMENTS = 20
// What Fastify's router takes literally: no parameter, wildcard or escape.
const LITERAL_SEGMENT = /^[A-Za-z0-9._~-]+$/

/**
 * The fewest Fastify route URLs under which all these routes can match, so that the gateway claims no more of an
 * application than it needs: `/` for the exact path `/`, `/users` and `/users/*` per first segment, or `/*` alone where
 * a route may match anywhere or the segments are too many or too odd.
 */
export function mountPoints(routes: readonly Pick<Routable, 'match'>[]): string[] {
  const segments = new Set<string>()
  let root = false
  for (const { match } of routes) {
    const { kind, value } = match.path
    const path = kind === 'regex' ? '/' : canonicalPath(encodePath(value))
    const segment = path.split('/', 2)[1] ?? ''
    if (kind === 'exact' && path === '/') root = true
    else if (LITERAL_SEGMENT.test(segment)) segments.add(segment)
    else return ['/*']
  }
  if (segments.size > MAX_SEGMENTS) return ['/*']

  const urls = root ? ['/'] : []
  for (const segment of segments) urls.push(`/${segment}`, `/${segment}/*`)
  return urls
}
