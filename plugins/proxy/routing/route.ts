import type { RouteConfig } from '../../config/index.ts'
import { InvalidRouteError } from '../../errors.ts'
import type { Onion } from '../../middleware/index.ts'
import type { UpstreamRuntime } from '../forwarding/types.ts'
import { compileHeaderRules, type HeaderEdit } from '../rewriting/header-rules.ts'
import { compileReverse, type ReverseRewrite } from '../rewriting/reverse-rewrite.ts'
import { compileUrlRewrite, type UrlRewrite } from '../rewriting/rewrite-url.ts'
import { createSplit } from './split.ts'

/** A route of the configuration, compiled: everything that can be worked out before a request comes. */
export interface Route {
  readonly id: string
  readonly config: RouteConfig
  readonly match: RouteConfig['match']
  readonly order: number | undefined
  /** Draws the upstream of an exchange. */
  choose(): UpstreamRuntime | undefined
  readonly rewriteUrl: UrlRewrite | undefined
  readonly editRequest: HeaderEdit | undefined
  readonly editResponse: HeaderEdit | undefined
  readonly reverse: ReverseRewrite | undefined
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
  const split = createSplit(config.upstreams, random)
  return {
    id: config.id,
    config,
    match: config.match,
    order: config.order,
    choose: () => {
      const name = split()
      return name === undefined ? undefined : upstreams.get(name)
    },
    rewriteUrl: compileUrlRewrite(config, { mount }),
    editRequest: compileHeaderRules(config.request.headers),
    editResponse: compileHeaderRules(config.response.headers),
    reverse: compileReverse(config, { mount }),
    onion: undefined
  }
}

/** What belongs to the connection or to the framing of a message is the gateway's, and no rule may touch it. */
const RESERVED = ['connection', 'content-length', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']

function checkNames({ id, request, response }: RouteConfig): void {
  const rules = [
    { at: 'request.headers', edits: request.headers, reserved: [...RESERVED, 'expect', 'host'] },
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
