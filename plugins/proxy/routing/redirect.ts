import type { RouteConfig } from '../../config/index.ts'
import { BadHostError } from '../../errors.ts'
import { type ClientView, USUAL_PORTS } from '../client-view.ts'
import { compilePathRewrite } from '../rewriting/rewrite-url.ts'
import { parseHost } from './host.ts'

/** What a route answers instead of forwarding. */
export interface Redirect {
  readonly status: number
  /**
   * The Location for a request: an absolute URL, so that no path is ever read as the name of a host.
   *
   * @param path raw, as the client sent it
   * @param query raw, with its leading `?`, or empty
   * @throws BadHostError if the client named no host and the route names none
   * @throws BadPathError if a regular expression of the route made a path that is not safe
   */
  locate(client: ClientView, path: string, query: string): string
}

type Redirecting = Pick<RouteConfig, 'id' | 'match' | 'redirect'>
type Scheme = ClientView['scheme']

/**
 * Compiles the redirect of a route; `undefined` if it has none. Scheme, host, port and path follow the RequestRedirect
 * filter of the Gateway API; the query is kept.
 *
 * @see https://gateway-api.sigs.k8s.io/reference/spec/#httprequestredirectfilter
 */
export function compileRedirect(route: Redirecting, mount: string): Redirect | undefined {
  const { redirect } = route
  if (redirect === undefined) return undefined
  const { scheme, host, status } = redirect
  // A given scheme has its well-known port; without one the port is that of the listener.
  const port = redirect.port ?? (scheme === undefined ? undefined : USUAL_PORTS[scheme])
  const rewritePath = compilePathRewrite(route, redirect, mount)
  const fixed =
    scheme === undefined || host === undefined || port === undefined ? undefined : originOf(scheme, host, port)

  return {
    status,
    locate(client, path, query) {
      const origin = fixed ?? originOf(scheme ?? client.scheme, host ?? hostOf(client), port ?? client.port)
      return origin + toReference((rewritePath?.(path) ?? path) + query)
    }
  }
}

function originOf(scheme: Scheme, host: string, port: number | undefined): string {
  return port === undefined || port === USUAL_PORTS[scheme] ? `${scheme}://${host}` : `${scheme}://${host}:${port}`
}

function hostOf({ authority }: ClientView): string {
  const host = parseHost(authority)
  if (host === undefined) throw new BadHostError('the redirect needs one')
  return host
}

/** What a request line may hold and a URL may not: bytes above 7E, and a number sign, which would begin a fragment. */
function toReference(target: string): string {
  return target.replace(/[^\x21-\x7e]|#/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
}
