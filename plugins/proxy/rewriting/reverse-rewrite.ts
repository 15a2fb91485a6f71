import type { RouteConfig } from '../../config/index.ts'
import { parseHost } from '../routing/host.ts'
import { compileLiteralPath, matchedPrefix } from '../routing/prefix.ts'
import { reverseCookie } from './reverse-cookie.ts'
import type { RewriteOptions } from './rewrite-url.ts'

/** Who talked to whom in an exchange, and under which names. */
export interface ReverseContext {
  /** Origin under which the client reached the gateway, such as `https://example.com`; `''` if it named no host. */
  readonly client: string
  /** Origin of the target, such as `http://127.0.0.1:3001`. */
  readonly target: string
  /** The Host header that the target got. */
  readonly host: string
}

/** Changes the values of a flat list of response headers in place, so that they hold for the client. */
export type ReverseRewrite = (pairs: string[], context: ReverseContext) => void

/** The path that replaced another; both without a slash at the end, `''` for the root. */
interface PathMapping {
  readonly sent: string
  readonly matched: string
}

const ABSOLUTE = /^(?:(https?):)?\/\/([^/?#\\]*)((?:[/?#].*)?)$/is
const REFRESH_HEAD = /^[^;,]*[;,]\s*url\s*=\s*(["']?)/i

/**
 * Compiles the way back of a route's rewriting; `undefined` unless `rewrite.reverse` is set. In `location`,
 * `content-location` and `refresh` the target's origin becomes the client's, and a replaced prefix becomes the matched one
 * again; in `set-cookie` the same holds for Domain and Path. URLs of other origins are left alone, and `rewrite.path` and
 * `rewrite.regex`, which have no inverse, leave paths alone.
 *
 * @see https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_redirect
 */
export function compileReverse(
  route: Pick<RouteConfig, 'id' | 'match' | 'rewrite'>,
  { mount = '' }: RewriteOptions = {}
): ReverseRewrite | undefined {
  const { reverse, prefix, path } = route.rewrite
  if (!reverse) return undefined
  const mapping =
    prefix !== undefined && path === undefined
      ? { sent: compileLiteralPath(route.id, prefix).replace(/\/$/, ''), matched: matchedPrefix(route, mount) }
      : undefined

  return (pairs, context) => {
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      pairs[i + 1] = reverseHeader(pairs[i] ?? '', pairs[i + 1] ?? '', mapping, context)
    }
  }
}

function reverseHeader(name: string, value: string, mapping: PathMapping | undefined, context: ReverseContext): string {
  switch (name.toLowerCase()) {
    case 'location':
    case 'content-location':
      return reverseUrl(value, mapping, context)
    case 'refresh':
      return reverseRefresh(value, mapping, context)
    case 'set-cookie':
      return reverseCookie(value, {
        path: (path) => mapCookiePath(path, mapping),
        domain: (domain) => mapDomain(domain, context)
      })
    default:
      return value
  }
}

/** `5; url=/path`, the URL perhaps in quotes. */
function reverseRefresh(value: string, mapping: PathMapping | undefined, context: ReverseContext): string {
  const [head, quote] = REFRESH_HEAD.exec(value) ?? []
  if (head === undefined) return value
  const closing = quote ? value.indexOf(quote, head.length) : -1
  const end = closing === -1 ? value.length : closing
  return head + reverseUrl(value.slice(head.length, end), mapping, context) + value.slice(end)
}

function reverseUrl(url: string, mapping: PathMapping | undefined, context: ReverseContext): string {
  if (/^\/(?![/\\])/.test(url)) {
    const path = mapPath(url, mapping)
    return path === url ? url : (urlOf(context.client, path) ?? url)
  }
  const [, scheme, authority, rest] = ABSOLUTE.exec(url) ?? []
  if (authority === undefined || rest === undefined || !isTarget(scheme, authority, context)) return url

  const path = mapPath(rest.startsWith('/') ? rest : `/${rest}`, mapping)
  if (context.client === '') return urlOf('', path) ?? url
  return (scheme === undefined ? context.client.slice(context.client.indexOf('//')) : context.client) + path
}

/**
 * The path alone, or with the origin where the path alone would be read as the name of another host: `//host`, and what
 * browsers take for it.
 */
function urlOf(client: string, path: string): string | undefined {
  if (!/^\/[/\\\s]/.test(path)) return path
  return client === '' ? undefined : client + path
}

function mapPath(path: string, mapping: PathMapping | undefined): string {
  if (mapping === undefined || !path.startsWith(mapping.sent)) return path
  const rest = path.slice(mapping.sent.length)
  if (rest !== '' && !/^[/?#]/.test(rest)) return path
  return mapping.matched === '' && !rest.startsWith('/') ? `/${rest}` : mapping.matched + rest
}

function mapCookiePath(path: string, mapping: PathMapping | undefined): string {
  const mapped = mapPath(path, mapping)
  // Path=/app/ would not hold for /app itself, but Path=/app holds for both (RFC 6265, section 5.1.4).
  return path === '/' && mapped !== path ? mapped.slice(0, -1) : mapped
}

function mapDomain(domain: string, { client, target, host }: ReverseContext): string {
  const name = parseHost(domain.replace(/^\./, ''))
  const own = parseHost(client.slice(client.indexOf('//') + 2))
  if (name === undefined || own === undefined || name === own) return domain
  return name === parseHost(host) || name === parseHost(target.slice(target.indexOf('//') + 2)) ? own : domain
}

/** Whether a URL leads to the target, by its own name or by the one under which it was asked. */
function isTarget(scheme: string | undefined, authority: string, { target, host }: ReverseContext): boolean {
  const end = target.indexOf('://')
  const own = target.slice(0, end).toLowerCase()
  if (scheme !== undefined && scheme.toLowerCase() !== own) return false
  const name = withoutDefaultPort(authority, own)
  return name === withoutDefaultPort(target.slice(end + 3), own) || name === withoutDefaultPort(host, own)
}

function withoutDefaultPort(authority: string, scheme: string): string {
  const port = scheme === 'https' ? ':443' : ':80'
  return (authority.endsWith(port) ? authority.slice(0, -port.length) : authority).toLowerCase()
}
