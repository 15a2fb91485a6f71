import { z } from 'zod'
import { active } from './active-schema.ts'
import { circuitBreaker, passive } from './health-schema.ts'
import {
  count,
  duration,
  flag,
  leaf,
  list,
  mapping,
  name,
  port,
  positive,
  share,
  size,
  TOKEN,
  text,
  types
} from './values.ts'

/** What the hash strategies hash. Header names are in lower case. */
export type HashKey = { from: 'ip' | 'path' | 'url' } | { from: 'header' | 'cookie' | 'query'; name: string }

/** What makes an attempt worth another one: how it failed, or a status. */
export type RetryCondition = 'connect' | 'reset' | 'timeout' | 'malformed' | number

const HTTP_ORIGIN = /^https?:\/\/[^\s/?#\\@]+\/?$/i
const UNIX_SOCKET = /^unix:\/[^\0]*[^\0/]$/
const IN_PROCESS = /^(?:function|app):[A-Za-z_][\w.-]{0,127}$/
const WITH_PATH = /^https?:\/\/[^\s/?#\\@]+\/[^\s?#\\@]+$/i
const HOST_NAME = /^(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?$/
const DNS_SERVER = /^(\d{1,3}(\.\d{1,3}){3}|[\da-f:.]*:[\da-f:.]*:[\da-f:.]*|\[[\da-f:.]+\])(:\d{1,5})?$/i
const ATTEMPT_HEADER = /^x-(?!forwarded-)[\w-]+$/i
const RETRY_FAILURES = ['connect', 'reset', 'timeout', 'malformed'] as const
const TARGET_URL =
  'http://host:port, https://host:port, unix:/path, function:NAME or app:NAME, without user, query or fragment'

const fullTarget = mapping(
  {
    url: targetUrl().describe(
      '`http://host:port`, `https://host:port`, `unix:/path/to.sock` for plain HTTP over a unix socket, `function:NAME` for an event function, or `app:NAME` for another app of the process.'
    ),
    weight: count().prefault(1).describe('Share of the traffic, relative to the other targets.'),
    backup: flag().prefault(false).describe('Used only when no other target is available.'),
    priority: count()
      .prefault(0)
      .describe('From 0 to 65535; used as far as targets of lower numbers cannot take the traffic. Not for backups.'),
    down: flag().prefault(false).describe('Out of service; consistent hashing keeps its place.'),
    maxConnections: count().prefault(0).describe('Most exchanges at the same time; 0 = no limit.'),
    maxFails: count().prefault(1).describe('Failures within `failTimeout` that take it out of service; 0 = never.'),
    failTimeout: duration()
      .prefault('10s')
      .describe('The time in which failures count, and how long the target then stays out of service.'),
    check: flag().prefault(true).describe('Whether the active checks of the upstream include it.')
  },
  'a URL or a mapping'
)

const target = z
  .custom<string | z.input<typeof fullTarget>>()
  .transform((value): z.input<typeof fullTarget> => (typeof value === 'string' ? { url: value } : value))
  .pipe(fullTarget)
  .register(types, { type: 'URL or mapping' })

const source = mapping({
  dns: text('a host name', HOST_NAME).describe('The name to look up; for `srv` such as `_http._tcp.users.internal`.'),
  type: name(['address', 'a', 'aaaa', 'srv'])
    .prefault('address')
    .describe('The records to ask for; `address` is A and AAAA. SRV records have port, priority and weight.'),
  protocol: name(['http', 'https']).prefault('http').describe('How the targets are spoken to.'),
  port: port().optional().describe('Port of the targets; that of the protocol if none is given. Not with `srv`.'),
  weight: count().prefault(1).describe('Weight of each target. Not with `srv`.'),
  priority: count().prefault(0).describe('As that of a target. Not with `srv`.'),
  backup: flag().prefault(false).describe('As that of a target.'),
  maxConnections: count().prefault(0).describe('As that of a target, for each.'),
  maxFails: count().prefault(1).describe('As that of a target.'),
  failTimeout: duration().prefault('10s').describe('As that of a target.'),
  minTtl: duration().prefault('5s').describe('Shortest time from one look to the next, whatever the TTL.'),
  maxTtl: duration().prefault('5m').describe('Longest time from one look to the next, whatever the TTL.'),
  timeout: duration().prefault('2s').describe('How long to wait for a DNS server.'),
  servers: list(text('an IP address, or one with a port', DNS_SERVER))
    .prefault([])
    .describe('DNS servers, such as `10.0.0.2` or `127.0.0.1:8600`; none = those of the system.')
})

const fullStrategy = z.looseObject(
  { name: text('the name of a strategy') },
  { error: 'a name or a mapping with `name`' }
)

const strategy = z
  .custom<string | z.input<typeof fullStrategy>>()
  .transform((value): z.input<typeof fullStrategy> => (typeof value === 'string' ? { name: value } : value))
  .pipe(fullStrategy.transform(({ name, ...options }) => ({ name, options })))
  .register(types, { type: 'name, or mapping of `name` and options' })

const timeouts = mapping({
  connect: duration().prefault('5s').describe('To reach the target, TLS handshake included; 0 = no limit.'),
  response: duration().prefault('30s').describe('From the sent request to the head of the response; 0 = no limit.'),
  idle: duration().prefault('60s').describe('Without a byte in either direction; 0 = no limit.'),
  total: duration().prefault(0).describe('Of the whole exchange, all attempts together; 0 = no limit.')
})

const backoff = mapping({
  base: duration()
    .prefault('25ms')
    .describe('Bound of the random wait before the first retry; it doubles and more with each; 0 = none.'),
  max: duration().prefault('250ms').describe('Largest bound.')
})

const retry = mapping({
  attempts: count().prefault(1).describe('Further attempts after the first; 0 = none.'),
  on: list(retryCondition())
    .prefault(['connect', 'reset', 502, 503, 504])
    .describe('Failures (`connect`, `reset`, `timeout`) and statuses (429 or 5xx) that are tried again.'),
  bodyLimit: size().prefault('64kb').describe('Largest request body that is kept for another attempt.'),
  budget: share()
    .prefault(0.2)
    .describe('Further attempts per request, on average and beside 10 a second that are always allowed.'),
  backoff: backoff.prefault({}).describe('How long to wait before a further attempt.'),
  attemptHeader: text('the name of a header that begins with x-, and is not about forwarding', ATTEMPT_HEADER)
    .optional()
    .describe('Header that tells targets and clients the number of the attempt, from 1; none by default.'),
  maxRetryAfter: duration()
    .prefault('5s')
    .describe(
      'Longest `Retry-After` that is waited for; a response that asks for more is passed on; 0 = it is not looked at.'
    )
})

const queue = mapping({
  size: count().prefault(0).describe('Most requests that wait while every target is at `maxConnections`; 0 = none.'),
  timeout: duration().prefault('5s').describe('How long a request may wait there; 0 = no limit of its own.')
})

const hedge = mapping({
  enabled: flag()
    .prefault(false)
    .describe('Whether an idempotent request that takes long is sent to a second target; the first answer wins.'),
  quantile: share().prefault(0.95).describe('Share of the responses that come sooner than the second attempt is made.')
})

const slowStart = mapping({
  window: duration()
    .prefault(0)
    .describe('Until a target that joins at run time, or returns, has its whole weight; 0 = at once.'),
  aggression: positive()
    .prefault(1)
    .describe('1 = the weight grows evenly; more = most of it sooner; less = most of it later.'),
  minWeight: share().prefault(0.1).describe('Share of its weight that it has from the beginning.')
})

const fullFailover = mapping(
  {
    upstream: text('the name of an upstream').describe('Name of the upstream that stands in.'),
    on: list(retryCondition())
      .prefault([])
      .describe('Failures and statuses, as in `retry.on`, after which it stands in too, once nothing is left to try.')
  },
  'the name of an upstream or a mapping'
)

const failover = z
  .custom<string | z.input<typeof fullFailover>>()
  .transform((value): z.input<typeof fullFailover> => (typeof value === 'string' ? { upstream: value } : value))
  .pipe(fullFailover)
  .register(types, { type: 'name or mapping' })

const tls = mapping({
  verify: flag().prefault(true).describe("Whether the target's certificate must be valid."),
  ca: text('PEM text, or the path of a PEM file')
    .optional()
    .describe('Certificates to trust instead of the system store: PEM text, or the path of a file.'),
  cert: text('PEM text, or the path of a PEM file').optional().describe('Client certificate: PEM text, or a path.'),
  key: text('PEM text, or the path of a PEM file')
    .optional()
    .describe('Private key of the client certificate: PEM text, or a path.'),
  servername: text('a host name', /^[^\s/:]+$/)
    .optional()
    .describe("Name for SNI and verification instead of the target's host.")
})

const health = mapping({
  active: active
    .optional()
    .describe('Checks all targets again and again; see [active checks](health.md#active-checks).'),
  passive: passive.prefault({}).describe('Outlier detection, by what becomes of the requests.')
})

export const upstream = mapping({
  strategy: strategy.prefault('round-robin').describe('The balancing algorithm.'),
  hashKey: hashKey().optional().describe('What the hash strategies hash.'),
  targets: list(target).prefault([]).describe('The backends.'),
  slowStart: slowStart.prefault({}).describe('How targets take up their work.'),
  panicThreshold: share()
    .optional()
    .describe(
      'Share of fit targets below which unhealthy and ejected ones are used as well; 0 = never. By default 0.5, and 0 where there is a `failover`.'
    ),
  discover: list(source).prefault([]).describe('Names to look up in DNS, of which further targets are made.'),
  timeouts: timeouts.prefault({}).describe('How long an exchange may take.'),
  retry: retry.prefault({}).describe('When a failed attempt is followed by another.'),
  health: health.prefault({}).describe('How it is found out which targets are fit; see [health](health.md).'),
  circuitBreaker: circuitBreaker
    .prefault({})
    .describe('What happens when much fails; see [circuit breakers](health.md#circuit-breakers).'),
  maxConnections: count()
    .prefault(0)
    .describe('Most exchanges at the same time at all targets together; 0 = no limit.'),
  queue: queue.prefault({}).describe('Where requests wait for a target to have room.'),
  hedge: hedge.prefault({}).describe('Second attempts beside slow ones, within `retry.budget`.'),
  failover: failover
    .optional()
    .describe('Where requests go while no target is available; see [failover](traffic.md#failover).'),
  http2: flag()
    .prefault(false)
    .describe('HTTP/2 to the targets: as agreed on by ALPN with `https`, with prior knowledge with `http` and `unix`.'),
  tls: tls.prefault({}).describe('For `https` targets. Paths of files are relative to the configuration file.')
}).transform((parsed) => ({
  ...parsed,
  hashKey: parsed.hashKey,
  failover: parsed.failover,
  panicThreshold: parsed.panicThreshold ?? (parsed.failover === undefined ? 0.5 : 0)
}))

function targetUrl() {
  return z
    .custom<string>()
    .transform((value, context): string => {
      if (typeof value === 'string' && isTargetUrl(value)) return value.endsWith('/') ? value.slice(0, -1) : value
      const withPath = typeof value === 'string' && WITH_PATH.test(value)
      const message = withPath ? 'a URL without a path (use rewrite.prefix)' : TARGET_URL
      context.issues.push({ code: 'custom', input: value, message })
      return z.NEVER
    })
    .register(types, { type: 'URL' })
}

/** Whether a target can be reached by the URL: an HTTP origin, a unix socket, or a name within the process. */
export function isTargetUrl(url: string): boolean {
  if (UNIX_SOCKET.test(url) || IN_PROCESS.test(url)) return true
  return HTTP_ORIGIN.test(url) && URL.canParse(url) && new URL(url).port !== '0'
}

function retryCondition() {
  return leaf<RetryCondition, RetryCondition>({
    type: 'failure or status',
    expected: `${RETRY_FAILURES.join(', ')}, 429 or a status from 500 to 599`,
    known: RETRY_FAILURES,
    parse: (value) => {
      if (typeof value !== 'number') return RETRY_FAILURES.find((failure) => failure === value)
      return value === 429 || (Number.isInteger(value) && value >= 500 && value <= 599) ? value : undefined
    }
  })
}

function hashKey() {
  return leaf<string, HashKey>({
    type: '`ip`, `path`, `url`, `header:NAME`, `cookie:NAME`, `query:NAME`',
    expected: 'ip, path, url, header:NAME, cookie:NAME or query:NAME',
    known: ['ip', 'path', 'url'],
    parse: (value) => (typeof value === 'string' ? parseHashKey(value) : undefined)
  })
}

function parseHashKey(text: string): HashKey | undefined {
  if (text === 'ip' || text === 'path' || text === 'url') return { from: text }
  const colon = text.indexOf(':')
  const [from, name] = [text.slice(0, colon), text.slice(colon + 1)]
  if (from === 'query' && name !== '') return { from, name }
  if (!TOKEN.test(name)) return undefined
  if (from === 'header') return { from, name: name.toLowerCase() }
  return from === 'cookie' ? { from, name } : undefined
}
