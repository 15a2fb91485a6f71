import { parseDuration } from '../units.ts'
import { type Fault, type FaultPath, found, oneOf } from './faults.ts'
import { defaultRouteId } from './route-schema.ts'
import { isTargetUrl } from './upstream-schema.ts'

const TOKEN_FORM = 'at least 32 printable characters without spaces'

type Tree = Readonly<Record<string, unknown>>

const SHORTEST_SECRET = 16

/**
 * The faults that no value has alone: names that must exist or be unique, keys that exclude each other. Reads the input
 * as it was written, so that these are found along with everything else that is wrong with it.
 * @param strategies names of all strategies there are; empty when more may be added later
 */
export function crossCheck(input: unknown, strategies: readonly string[] = []): Fault[] {
  const upstreams = tree(tree(input).upstreams)
  const routes = items(tree(input).routes)
  return [
    ...Object.entries(upstreams).flatMap(([name, upstream]) => checkUpstream(tree(upstream), ['upstreams', name])),
    ...Object.entries(upstreams).flatMap(([name, upstream]) =>
      checkStrategy(tree(upstream).strategy, ['upstreams', name, 'strategy'], strategies)
    ),
    ...checkFailovers(upstreams),
    ...checkDiagnostics(tree(tree(input).diagnostics)),
    ...routes.flatMap((route, index) => checkRoute(tree(route), ['routes', index], Object.keys(upstreams))),
    ...repeated(
      routes.map((route, index) => tree(route).id ?? defaultRouteId(index)),
      (index) => (Object.hasOwn(tree(routes[index]), 'id') ? ['routes', index, 'id'] : ['routes', index]),
      'a route id that no other route has'
    )
  ]
}

function checkUpstream(upstream: Tree, path: FaultPath): Fault[] {
  const tls = tree(upstream.tls)
  const faults = repeated(
    items(upstream.targets).map((target) => (typeof target === 'string' ? target : tree(target).url)),
    (index) => [...path, 'targets', index],
    'a URL that no other target of the upstream has',
    identity
  )
  for (const [index, target] of items(upstream.targets).entries()) {
    const { backup, priority } = tree(target)
    if (backup !== true || priority === undefined || priority === 0) continue
    faults.push(value([...path, 'targets', index, 'priority'], 'found priority beside backup, expected one of them'))
  }
  faults.push(...checkSources(upstream, path), ...checkActive(upstream, path), ...checkBreakers(upstream, path))
  for (const [given, needed] of [
    ['cert', 'key'],
    ['key', 'cert']
  ] as const) {
    if (tls[given] === undefined || tls[needed] !== undefined) continue
    faults.push(value([...path, 'tls', given], `found ${given} alone, expected ${needed} beside it`))
  }
  return faults
}

function checkSources(upstream: Tree, path: FaultPath): Fault[] {
  const { verify, servername } = tree(upstream.tls)
  return items(upstream.discover).flatMap((source, index) => {
    const { type, protocol, ...others } = tree(source)
    const at = [...path, 'discover', index]
    const faults = ['port', 'weight', 'priority']
      .filter((key) => type === 'srv' && others[key] !== undefined)
      .map((key) => value([...at, key], `found ${key} beside type srv, whose records have it`))
    // Certificates hold names, and what DNS gives are addresses.
    if (protocol === 'https' && verify !== false && servername === undefined) {
      faults.push(value([...at, 'protocol'], 'found https without tls.servername, by which certificates are verified'))
    }
    return faults
  })
}

/** Keys of active checks that only some of their types have. */
const CHECK_KEYS: Readonly<Record<string, readonly string[]>> = {
  path: ['http'],
  method: ['http'],
  status: ['http'],
  body: ['http'],
  bodyLimit: ['http'],
  headers: ['http', 'grpc'],
  service: ['grpc']
}

function checkActive(upstream: Tree, path: FaultPath): Fault[] {
  const { active } = tree(upstream.health)
  if (active === undefined) return []
  const rules = tree(active)
  const { type = 'http' } = rules
  const at = [...path, 'health', 'active']
  if (typeof type !== 'string' || !['http', 'tcp', 'grpc'].includes(type)) return []
  const strays = Object.entries(CHECK_KEYS)
    .filter(([key, kinds]) => rules[key] !== undefined && !kinds.includes(type))
    .map(
      ([key]): Fault => ({ path: [...at, key], at: 'key', message: `found ${key} beside type ${type}, which has none` })
    )
  if (type === 'http' && rules.path === undefined) {
    strays.push(value([...at, 'path'], found(undefined, 'a path that starts with /, such as /healthz')))
  }
  return strays
}

function checkBreakers({ circuitBreaker }: Tree, path: FaultPath): Fault[] {
  return Object.entries(tree(circuitBreaker)).flatMap(([kind, breaker]) => {
    const { slowAfter = 0, slowRate = 0 } = tree(breaker)
    if (slowRate === 0 || parseDuration(slowAfter) !== 0) return []
    return [
      value([...path, 'circuitBreaker', kind, 'slowRate'], 'found slowRate without slowAfter, which says what is slow')
    ]
  })
}

/** An upstream may stand in for another, and a third for that one, but nowhere may that lead back. */
function checkFailovers(upstreams: Tree): Fault[] {
  const known = Object.keys(upstreams)
  const next = new Map(known.map((name) => [name, failoverOf(upstreams[name])]))
  return known.flatMap((name) => {
    const other = next.get(name)
    if (other === undefined) return []
    const written = tree(upstreams[name]).failover
    const path = ['upstreams', name, 'failover', ...(typeof written === 'string' ? [] : ['upstream'])]
    const faults = unknownUpstream(other, path, known)
    if (faults.length > 0) return faults
    const seen = new Set<string>()
    for (let at: string | undefined = other; at !== undefined && !seen.has(at); at = next.get(at)) seen.add(at)
    return seen.has(name)
      ? [value(path, found(other, `an upstream whose failover does not lead back to '${name}'`))]
      : []
  })
}

function failoverOf(upstream: unknown): string | undefined {
  const { failover } = tree(upstream)
  const name = typeof failover === 'string' ? failover : tree(failover).upstream
  return typeof name === 'string' ? name : undefined
}

/** The length of a token is told, not the token. */
function checkDiagnostics({ enabled, token }: Tree): Fault[] {
  const path = ['diagnostics', 'token']
  if (token === undefined) return enabled === true ? [value(path, found(undefined, TOKEN_FORM))] : []
  if (typeof token !== 'string' || /^[!-~]{32,}$/.test(token)) return []
  return [value(path, `found ${token.length} characters, expected ${TOKEN_FORM}`)]
}

function checkStrategy(strategy: unknown, path: FaultPath, known: readonly string[]): Fault[] {
  const name = typeof strategy === 'string' ? strategy : tree(strategy).name
  if (typeof name !== 'string' || name === '' || known.length === 0 || known.includes(name)) return []
  return [value(typeof strategy === 'string' ? path : [...path, 'name'], found(name, oneOf(known), known))]
}

function checkRoute(route: Tree, path: FaultPath, known: readonly string[]): Fault[] {
  return [
    ...checkReferences(route.upstream, [...path, 'upstream'], known),
    ...checkSticky(route, [...path, 'sticky']),
    ...checkMirrors(route.mirror, [...path, 'mirror'], known),
    ...checkPathChange(route, 'rewrite', path),
    ...checkPathChange(route, 'redirect', path),
    ...checkAnswer(route, path)
  ]
}

/** A route either forwards or redirects, and what changes a forwarded request has no place beside a redirect. */
function checkAnswer(route: Tree, path: FaultPath): Fault[] {
  if (route.redirect === undefined) {
    if (route.upstream !== undefined) return []
    return [value([...path, 'upstream'], found(undefined, 'an upstream, or a redirect in its place'))]
  }
  return ['upstream', 'sticky', 'mirror', 'rewrite', 'request', 'retry']
    .filter((key) => route[key] !== undefined)
    .map((key) => ({ path: [...path, key], at: 'key', message: `found ${key} beside redirect, expected one of them` }))
}

function checkReferences(upstream: unknown, path: FaultPath, known: readonly string[]): Fault[] {
  if (typeof upstream === 'string') return unknownUpstream(upstream, path, known)
  if (!Array.isArray(upstream)) return []
  if (upstream.length === 0) return [value(path, 'found an empty list, expected at least one upstream')]

  const shares = upstream.map(tree)
  const faults = unknownUpstreams(shares, path, known)
  if (shares.every((share) => share.weight === 0)) {
    faults.push(value(path, 'found only weights of 0, expected at least one above 0'))
  }
  return faults
}

function checkSticky({ sticky, upstream, redirect }: Tree, path: FaultPath): Fault[] {
  if (sticky === undefined || redirect !== undefined) return []
  const { header, cookie } = tree(sticky)
  const faults: Fault[] = []
  if ((header === undefined) === (cookie === undefined)) {
    const what = header === undefined ? 'neither header nor cookie' : 'header and cookie'
    faults.push(value(path, `found ${what}, expected one of them`))
  }
  if (items(upstream).length < 2) {
    faults.push(value(path, 'found sticky beside one upstream, expected several to choose from'))
  }
  const { sameSite, secure, secret } = tree(cookie)
  // Browsers drop it otherwise.
  if (sameSite === 'none' && secure !== true) {
    faults.push(value([...path, 'cookie', 'sameSite'], 'found none, expected secure: true beside it'))
  }
  const secrets = typeof secret === 'string' ? [secret] : items(secret)
  if (secrets.some((one) => typeof one === 'string' && one.length < SHORTEST_SECRET)) {
    faults.push(
      value([...path, 'cookie', 'secret'], `found a short secret, expected ${SHORTEST_SECRET} characters or more`)
    )
  }
  return faults
}

function checkMirrors(mirror: unknown, path: FaultPath, known: readonly string[]): Fault[] {
  if (typeof mirror === 'string') return unknownUpstream(mirror, path, known)
  return unknownUpstreams(items(mirror).map(tree), path, known)
}

function unknownUpstreams(parts: readonly Tree[], path: FaultPath, known: readonly string[]): Fault[] {
  return parts.flatMap(({ upstream }, index) =>
    typeof upstream === 'string' ? unknownUpstream(upstream, [...path, index, 'upstream'], known) : []
  )
}

function unknownUpstream(name: string, path: FaultPath, known: readonly string[]): Fault[] {
  if (name === '' || known.includes(name)) return []
  const expected = known.length === 0 ? 'an upstream, but none is defined' : oneOf(known)
  return [value(path, found(name, expected, known))]
}

function checkPathChange(route: Tree, key: 'rewrite' | 'redirect', path: FaultPath): Fault[] {
  const change = tree(route[key])
  const given = ['prefix', 'path', 'regex'].filter((name) => change[name] !== undefined)
  if (given.length > 1) {
    return [value([...path, key], `found ${given.join(' and ')}, expected at most one of prefix, path and regex`)]
  }
  const matched = tree(route.match).path
  if (given[0] === 'prefix' && tree(matched).regex !== undefined) {
    const expected = `a path match with a prefix; a regex match is rewritten by ${key}.path or ${key}.regex`
    return [value([...path, key, 'prefix'], found(change.prefix, expected))]
  }
  return []
}

function repeated(
  names: readonly unknown[],
  pathOf: (index: number) => FaultPath,
  expected: string,
  identify: (name: unknown) => unknown = (name) => name
): Fault[] {
  const identities = names.map(identify)
  return names.flatMap((name, index) => {
    const isRepeated = typeof identities[index] === 'string' && identities.indexOf(identities[index]) < index
    return isRepeated ? [value(pathOf(index), found(name, expected))] : []
  })
}

// Two spellings of one origin are one target: case of the host, a default port, a slash at the end.
function identity(url: unknown): unknown {
  if (typeof url !== 'string' || !isTargetUrl(url)) return undefined
  return url.startsWith('unix:') ? url : new URL(url).href
}

function value(path: FaultPath, message: string): Fault {
  return { path, at: 'value', message }
}

function tree(input: unknown): Tree {
  return typeof input === 'object' && input !== null && !Array.isArray(input)
    ? Object.fromEntries(Object.entries(input))
    : {}
}

function items(input: unknown): readonly unknown[] {
  return Array.isArray(input) ? input : []
}
