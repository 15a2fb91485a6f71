import type { RouteConfig } from '../../config/index.ts'
import { InvalidRouteError } from '../../errors.ts'
import type { Onion } from '../../middleware/index.ts'
import type { UpstreamRuntime } from '../forwarding/types.ts'
import type { Mirror } from '../mirroring/mirror.ts'
import { compileHeaderRules, type HeaderEdit } from '../rewriting/header-rules.ts'
import { compileReverse, type ReverseRewrite } from '../rewriting/reverse-rewrite.ts'
import { compileUrlRewrite, type UrlRewrite } from '../rewriting/rewrite-url.ts'
import { compileRedirect, type Redirect } from './redirect.ts'
import { createSplit } from './split.ts'
import { type NamedShare, StickySplit } from './sticky-split.ts'

/** An upstream as a route uses it. */
export interface Branch extends NamedShare {
  readonly upstream: UpstreamRuntime
  readonly editRequest: HeaderEdit | undefined
}

/** A route of the configuration, compiled: everything that can be worked out before a request comes. */
export interface Route {
  readonly id: string
  readonly config: RouteConfig
  readonly match: RouteConfig['match']
  readonly order: number | undefined
  /** Answers in place of an upstream. */
  readonly redirect: Redirect | undefined
  /** Draws the branch that an exchange takes. */
  choose(): Branch | undefined
  /** Chooses by what the client is known by; undefined where that does not matter. */
  readonly sticky: StickySplit<Branch> | undefined
  readonly rewriteUrl: UrlRewrite | undefined
  readonly editResponse: HeaderEdit | undefined
  readonly reverse: ReverseRewrite | undefined
  /** Upstreams that get copies of its requests; undefined where there are none. */
  mirrors: readonly Mirror[] | undefined
  /** Layers of the route; known once the application is ready. */
  onion: Onion | undefined
}

/** Compiles a route under a mount path. */
export function compileRoute(
  config: RouteConfig,
  upstreams: ReadonlyMap<string, UpstreamRuntime>,
  mount: string,
  random: () => number
): Route {
  checkNames(config)
  const branches = config.upstreams.flatMap((_, index) => compileBranch(index, config, upstreams))
  return {
    id: config.id,
    config,
    match: config.match,
    order: config.order,
    redirect: compileRedirect(config, mount),
    choose: createSplit(branches, random),
    sticky: config.sticky === undefined ? undefined : new StickySplit(branches, config.sticky, random),
    rewriteUrl: compileUrlRewrite(config, { mount }),
    editResponse: compileHeaderRules(config.response.headers),
    reverse: compileReverse(config, { mount }),
    mirrors: undefined,
    onion: undefined
  }
}

function compileBranch(
  index: number,
  { upstreams: shares, request: { headers } }: RouteConfig,
  upstreams: ReadonlyMap<string, UpstreamRuntime>
): Branch[] {
  const share = shares[index]
  if (share === undefined) return []
  const { upstream, weight, request } = share
  const runtime = upstreams.get(upstream)
  if (runtime === undefined) return []
  const first = compileHeaderRules(headers)
  const second = request === undefined ? undefined : compileHeaderRules(request.headers)
  const both = first !== undefined && second !== undefined
  const editRequest = both ? (pairs: readonly string[]) => second(first(pairs)) : (first ?? second)
  // An upstream may have several shares, each with headers of its own.
  const before = shares.slice(0, index).filter((other) => other.upstream === upstream).length
  const name = before === 0 ? upstream : `${upstream}#${before}`
  return [{ name, weight, upstream: runtime, editRequest }]
}

/** What belongs to the connection or to the framing of a message is the gateway's, and no rule may touch it. */
const RESERVED = ['connection', 'content-length', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']

function checkNames({ id, upstreams, request, response }: RouteConfig): void {
  const requestReserved = [...RESERVED, 'expect', 'host']
  const rules = [
    { at: 'request.headers', edits: request.headers, reserved: requestReserved },
    ...upstreams.flatMap(({ request }, i) =>
      request === undefined
        ? []
        : [{ at: `upstream[${i}].request.headers`, edits: request.headers, reserved: requestReserved }]
    ),
    { at: 'response.headers', edits: response.headers, reserved: RESERVED }
  ]
  for (const { at, edits, reserved } of rules) {
    const names = [...edits.remove, ...[...edits.set, ...edits.add].map(([name]) => name)]
    const found = names.find((name) => reserved.includes(name.toLowerCase()))
    if (found === undefined) continue
    const hint = found.toLowerCase() === 'host' ? '; use rewrite.host' : ''
    throw new InvalidRouteError(id, `${at} cannot change '${found}'${hint}`)
  }
}
