import type { GatewayOptions } from '../plugins/config/index.ts'

/** A manifest of the Gateway API, as far as the tests use it. */
export type Manifest =
  | { kind: 'Gateway'; name: string; spec: { listeners: Listener[] } }
  | { kind: 'HTTPRoute'; name: string; spec: { parentRefs: ParentRef[]; hostnames?: string[]; rules: Rule[] } }

interface Listener {
  name: string
  port: number
  protocol: 'HTTP' | 'HTTPS'
  hostname?: string
}

interface ParentRef {
  kind?: 'Service'
  name: string
  port?: number
  sectionName?: string
}

interface Rule {
  name?: string
  matches?: Match[]
  filters?: Filter[]
  backendRefs?: { name: string; weight?: number; filters?: Filter[] }[]
  timeouts?: { request?: string; backendRequest?: string }
  retry?: { attempts: number; codes?: number[] }
}

interface Match {
  path?: { type: 'Exact' | 'PathPrefix'; value: string }
  method?: string
  headers?: Pair[]
  queryParams?: Pair[]
}

interface Pair {
  name: string
  value: string
}

interface HeaderModifier {
  set?: Pair[]
  add?: Pair[]
  remove?: string[]
}

interface PathModifier {
  type: 'ReplaceFullPath' | 'ReplacePrefixMatch'
  replaceFullPath?: string
  replacePrefixMatch?: string
}

/** One of them, by `type`. */
interface Filter {
  type: string
  requestHeaderModifier?: HeaderModifier
  responseHeaderModifier?: HeaderModifier
  urlRewrite?: { hostname?: string; path?: PathModifier }
  requestRedirect?: {
    scheme?: 'http' | 'https'
    hostname?: string
    port?: number
    path?: PathModifier
    statusCode?: 301 | 302 | 303 | 307 | 308
  }
  cors?: Cors
}

export interface Cors {
  allowOrigins: string[]
  allowMethods: string[]
  allowHeaders?: string[]
  exposeHeaders?: string[]
  allowCredentials?: boolean
  maxAge?: number
}

type RouteOptions = NonNullable<GatewayOptions['routes']>[number]
type Forwarding = Extract<RouteOptions, { upstream: unknown }>
type UpstreamOptions = NonNullable<GatewayOptions['upstreams']>[string]

/** What listens on one port of one Gateway: a gateway of ours. */
export interface Served {
  gateway: string
  port: number
  secure: boolean
  routes: RouteOptions[]
  upstreams: Record<string, UpstreamOptions>
  /** CORS policies by the path prefix they hold for. */
  cors: { prefix: string; policy: Cors }[]
}

/**
 * Translates manifests into configurations of ours, one for each port of each Gateway.
 *
 * @param targetsOf URLs of endpoints of a backend, at least `count`
 */
export function translate(manifests: readonly Manifest[], targetsOf: (backend: string, count: number) => string[]) {
  const served: Served[] = []
  for (const route of manifests) {
    if (route.kind !== 'HTTPRoute') continue
    for (const { listener, gateway } of route.spec.parentRefs.flatMap((parent) => listenersOf(parent, manifests))) {
      const hosts = intersect(listener.hostname, route.spec.hostnames)
      if (hosts === undefined) continue
      const place = placeOf(served, gateway, listener)
      for (const [i, rule] of route.spec.rules.entries()) {
        const id = rule.name ?? `${route.name}, ${listener.name}, rule ${i}`
        addRule(place, id, hosts, rule, targetsOf)
      }
    }
  }
  return served
}

function listenersOf(parent: ParentRef, manifests: readonly Manifest[]): { gateway: string; listener: Listener }[] {
  const { name: gateway, kind, port, sectionName } = parent
  // In a mesh, what is sent to a service takes its routes.
  if (kind === 'Service') return [{ gateway, listener: { name: 'mesh', port: port ?? 80, protocol: 'HTTP' } }]
  return manifests
    .flatMap((one) => (one.kind === 'Gateway' && one.name === gateway ? one.spec.listeners : []))
    .filter((one) => (port === undefined || one.port === port) && (sectionName ?? one.name) === one.name)
    .map((listener) => ({ gateway, listener }))
}

function placeOf(served: Served[], gateway: string, { port, protocol }: Listener): Served {
  const known = served.find((one) => one.gateway === gateway && one.port === port)
  if (known !== undefined) return known
  const place = { gateway, port, secure: protocol === 'HTTPS', routes: [], upstreams: {}, cors: [] }
  served.push(place)
  return place
}

/** The hosts that both take; none stands for all. `undefined` if there is no such host. */
function intersect(listener: string | undefined, route: string[] = []): string[] | undefined {
  if (listener === undefined) return route
  if (route.length === 0) return [listener]
  const covers = (wide: string, host: string) => wide.startsWith('*') && host.endsWith(wide.slice(1))
  const both = route.flatMap((host) => {
    if (host === listener || covers(listener, host)) return [host]
    return covers(host, listener) ? [listener] : []
  })
  return both.length === 0 ? undefined : both
}

function addRule(
  place: Served,
  id: string,
  hosts: string[],
  rule: Rule,
  targetsOf: (backend: string, count: number) => string[]
): void {
  const policy = rule.filters?.find(({ cors }) => cors !== undefined)?.cors
  for (const [i, match] of (rule.matches ?? [{}]).entries()) {
    const common = { id: i === 0 ? id : `${id}, match ${i}`, match: toMatch(match, hosts) }
    place.routes.push({ ...common, ...toAnswer(rule, place.upstreams, targetsOf) })
    if (policy !== undefined) place.cors.push({ prefix: match.path?.value ?? '/', policy })
  }
}

function toMatch({ path, method, headers = [], queryParams = [] }: Match, hosts: string[]) {
  const value = path?.value ?? '/'
  return {
    path: path?.type === 'Exact' ? value : `${value.replace(/\/$/, '')}/*`,
    hosts,
    methods: method === undefined ? [] : [method],
    headers: toEntries(headers),
    query: toEntries(queryParams)
  }
}

function toAnswer(
  { filters = [], backendRefs = [], timeouts = {}, retry }: Rule,
  upstreams: Record<string, UpstreamOptions>,
  targetsOf: (backend: string, count: number) => string[]
): Omit<Forwarding, 'id' | 'match'> | Pick<Extract<RouteOptions, { redirect: unknown }>, 'redirect'> {
  // What a rule with one backend does to it, it does to all.
  const all = backendRefs.length === 1 ? [...filters, ...(backendRefs[0]?.filters ?? [])] : filters
  const redirect = all.find(({ requestRedirect }) => requestRedirect !== undefined)?.requestRedirect
  if (redirect !== undefined) {
    const { hostname, statusCode, path, ...rest } = redirect
    return { redirect: { ...rest, ...given('host', hostname), ...given('status', statusCode), ...toPath(path) } }
  }

  const rewrite = all.find(({ urlRewrite }) => urlRewrite !== undefined)?.urlRewrite
  const upstream = backendRefs.map(({ name, weight = 1, filters = [] }) => {
    const special = JSON.stringify({ ...timeouts, ...retry })
    const key = special === '{}' ? name : `${name} ${special}`
    upstreams[key] = toUpstream(targetsOf(name, 1 + (retry?.attempts ?? 0)), timeouts, retry)
    const own = backendRefs.length === 1 ? undefined : modifierOf(filters, 'requestHeaderModifier')
    return { upstream: key, weight, ...(own === undefined ? {} : { request: { headers: own } }) }
  })
  return {
    upstream,
    rewrite: { ...given('host', rewrite?.hostname), ...toPath(rewrite?.path) },
    request: { headers: modifierOf(all, 'requestHeaderModifier') ?? {} },
    response: { headers: modifierOf(all, 'responseHeaderModifier') ?? {} }
  }
}

function toUpstream(targets: string[], timeouts: NonNullable<Rule['timeouts']>, retry: Rule['retry']): UpstreamOptions {
  const { request, backendRequest } = timeouts
  const duration = (text: string) => (text === '0s' ? 0 : text)
  const upstream: UpstreamOptions = {
    targets: targets.map((url) => ({ url, maxFails: 0 })),
    timeouts: {
      ...(request === undefined ? {} : { total: duration(request) }),
      ...(backendRequest === undefined ? {} : { response: duration(backendRequest) })
    }
  }
  if (retry === undefined) return upstream
  const on: NonNullable<NonNullable<UpstreamOptions['retry']>['on']> = retry.codes ?? ['connect', 'reset', 'timeout']
  return { ...upstream, retry: { attempts: retry.attempts, on, budget: 1 } }
}

function toPath(path: PathModifier | undefined): { prefix?: string; path?: string } {
  if (path === undefined) return {}
  return path.type === 'ReplaceFullPath'
    ? { path: path.replaceFullPath ?? '/' }
    : { prefix: path.replacePrefixMatch ?? '/' }
}

function modifierOf(filters: readonly Filter[], kind: 'requestHeaderModifier' | 'responseHeaderModifier') {
  const found = filters.find((filter) => filter[kind] !== undefined)?.[kind]
  if (found === undefined) return undefined
  return { set: toEntries(found.set ?? []), add: toEntries(found.add ?? []), remove: found.remove ?? [] }
}

function toEntries(pairs: readonly Pair[]): Record<string, string> {
  return Object.fromEntries(pairs.map(({ name, value }) => [name, value]))
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): { [key in Key]?: Value } {
  const entry: { [key in Key]?: Value } = {}
  if (value !== undefined) entry[key] = value
  return entry
}
