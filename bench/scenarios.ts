import { availableParallelism } from 'node:os'
import { StrategyRegistry } from '../plugins/balancer/index.ts'
import { type Exchange, echo, http, requestOf } from './exchanges.ts'
import { SMALL_GET } from './load.ts'
import { type Capability, EMBEDDED, type Features, NGINX, OWN } from './proxies/index.ts'

/** What is sent through every proxy. */
export interface Scenario {
  readonly title: string
  readonly exchange: Exchange
  readonly connections: number
  /** Requests of one round. */
  readonly requests: number
  /** What a proxy must be able to do to take part. */
  readonly needs?: Capability
  /** What is compared in place of the proxies as they are; ratios are those to the first. */
  readonly variants?: readonly Variant[]
  /** Whether processes keep to one processor each. @default true */
  readonly pinned?: boolean
}

/** A proxy that is set up in another way. */
export interface Variant {
  readonly name: string
  /** The name of the proxy. */
  readonly of: string
  readonly features: Partial<Features>
}

const TARGETS = 100
const CLIENTS = 1_000
const SECRET = 'a secret of the benchmark'
const PLAIN_GATEWAY: Variant = { name: OWN, of: OWN, features: {} }
const small = { exchange: SMALL_GET, connections: 32, requests: 20_000 }

export const scenarios: Readonly<Record<string, Scenario>> = {
  'small-get': { title: 'small GET', ...small },
  'get-64k': {
    title: 'GET, 64 KiB',
    exchange: http(requestOf('GET', '/bytes/65536')),
    connections: 32,
    requests: 8_000
  },
  'post-16k': {
    title: 'POST, 16 KiB',
    exchange: http(requestOf('POST', '/', 16_384)),
    connections: 32,
    requests: 8_000
  },
  'download-1m': {
    title: 'GET, 1 MiB',
    exchange: http(requestOf('GET', '/bytes/1048576')),
    connections: 8,
    requests: 800
  },
  tls: { title: 'small GET, TLS at the front', ...small, requests: 15_000, needs: 'tls' },
  websocket: {
    title: 'WebSocket echo, 64 bytes',
    exchange: echo(64),
    connections: 32,
    requests: 30_000,
    needs: 'webSocket'
  },
  layers: { title: 'layers', ...small, variants: [PLAIN_GATEWAY, own('10 hook pairs', { layers: 10 })] },
  'many-routes': { title: 'routes', ...small, variants: [PLAIN_GATEWAY, own('1,000 routes', { routes: 1_000 })] },
  '100-targets': { title: '100 targets', ...small, exchange: fromManyClients(), variants: byStrategy() },
  'function-target': {
    title: 'target',
    ...small,
    variants: [
      { name: 'on loopback', of: EMBEDDED, features: {} },
      { name: 'a function', of: EMBEDDED, features: { functionTarget: true } }
    ]
  },
  workers: {
    title: 'small GET, processes not pinned',
    ...small,
    requests: 40_000,
    pinned: false,
    variants: byWorkers()
  }
}

function own(what: string, features: Partial<Features>): Variant {
  return { name: `${OWN}, ${what}`, of: OWN, features }
}

/** Small GETs that name their user, from as many addresses as there are connections. */
function fromManyClients(): Exchange {
  const requests = Array.from({ length: CLIENTS }, (_, i) =>
    requestOf('GET', '/users/42?full=1', 0, `x-user-id: user-${i}\r\n`)
  )
  return { ...http(...requests), distinct: true }
}

function byStrategy(): Variant[] {
  const one = { strategy: { strategy: 'round-robin' } }
  return [
    { name: 'one target, round-robin', of: OWN, features: one },
    ...new StrategyRegistry().names.map((name) => {
      const strategy = name === 'sticky' ? { name, secret: SECRET } : name
      const key = name.includes('hash') && name !== 'ip-hash' ? { hashKey: 'header:x-user-id' } : {}
      return { name, of: OWN, features: { targets: TARGETS, strategy: { strategy, ...key } } }
    })
  ]
}

/** One process, two, and one for each processor; nginx with as many. */
function byWorkers(): Variant[] {
  const counts = [...new Set([1, 2, availableParallelism()])].filter((count) => count <= availableParallelism())
  const unshared = { NODE_CLUSTER_SCHED_POLICY: 'none' }
  return [
    ...counts.map((workers) => ({ name: `${OWN}, ${workers}`, of: OWN, features: { workers } })),
    ...counts
      .filter((workers) => workers > 1)
      .map((workers) => ({ name: `${OWN}, ${workers}, SCHED_NONE`, of: OWN, features: { workers, env: unshared } })),
    ...counts.map((workers) => ({ name: `${NGINX}, ${workers}`, of: NGINX, features: { workers } }))
  ]
}
