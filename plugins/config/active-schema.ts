import { blameRegex, method, onlyKey } from './route-values.ts'
import {
  flag,
  leaf,
  list,
  mapping,
  name,
  pattern,
  port,
  positiveCount,
  positiveDuration,
  record,
  share,
  size,
  text
} from './values.ts'

/** Statuses from one to another, both included. */
export interface StatusRange {
  readonly from: number
  readonly to: number
}

/** What a body must contain: a text, or something that a regular expression finds. */
export interface BodyMatch {
  readonly kind: 'text' | 'regex'
  readonly value: string
}

// Path and query, as a request line can hold them.
const REQUEST_TARGET = /^\/[\x21\x22\x24-\x7e]*$/
// Any header but those of the connection, and of the body.
const FIELD_NAME =
  /^(?!(?:connection|content-length|expect|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$)[\w!#$%&'*+.^`|~-]+$/i
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Active checks. */
export const active = mapping({
  enabled: flag().prefault(true).describe('Whether targets are checked.'),
  type: name(['http', 'tcp', 'grpc'])
    .prefault('http')
    .describe('A request, whether a connection comes about, or the health checking protocol of gRPC.'),
  path: text('a path that starts with /, with a query or without', REQUEST_TARGET, 'path')
    .optional()
    .describe('Path and query of the request; needed with `http`, and only there.'),
  method: method().optional().describe('With `http`; GET unless told otherwise.'),
  headers: record(
    FIELD_NAME,
    'a header name other than those of connection and body',
    text('a header value', FIELD_VALUE)
  )
    .transform((headers) =>
      Object.fromEntries(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), value]))
    )
    .prefault({})
    .describe('Headers of the request; `host` takes the place of the address. Not with `tcp`.'),
  status: list(statusRange())
    .optional()
    .describe('With `http`: statuses of a healthy target, `[200-399]` unless told otherwise.'),
  body: bodyMatch().optional().describe('With `http`: what the body must contain.'),
  bodyLimit: size().prefault('16kb').describe('The beginning of the body in which that is looked for.'),
  service: text('the name of a service', /^/)
    .optional()
    .describe('With `grpc`: whose health is asked for; by default that of the whole server.'),
  port: port().optional().describe('Port for checks, where it is not that of the target. Not for unix sockets.'),
  interval: positiveDuration().prefault('15s').describe('From the beginning of one check to that of the next.'),
  fastInterval: positiveDuration()
    .optional()
    .describe('The same while results speak against the state, but not often enough yet; by default as `interval`.'),
  unhealthyInterval: positiveDuration()
    .optional()
    .describe('The same while the target is unhealthy; by default as `interval`.'),
  jitter: share().prefault(0.1).describe('Part of the interval by which it may be longer, at random.'),
  timeout: positiveDuration().prefault('5s').describe('How long a check may take, connection included.'),
  fall: positiveCount().prefault(3).describe('Failures in a row that make a target unhealthy.'),
  rise: positiveCount()
    .prefault(2)
    .describe('Successes in a row that make it healthy again; the very first is enough.'),
  required: flag()
    .prefault(false)
    .describe('Whether a target is used only after its first success; otherwise until it has failed.'),
  concurrency: positiveCount().prefault(100).describe('Most checks of the upstream at the same time.')
})

function statusRange() {
  return leaf<string | number, StatusRange>({
    type: 'status or range',
    expected: 'a status from 200 to 599, or a range such as 200-399',
    parse: (value) => {
      const [, from = '', to = from] = /^([2-5]\d\d)(?:-([2-5]\d\d))?$/.exec(String(value)) ?? []
      return from !== '' && from <= to ? { from: Number(from), to: Number(to) } : undefined
    }
  })
}

function bodyMatch() {
  return leaf<string | { regex: string }, BodyMatch>({
    type: 'text, or `{ regex }`',
    expected: 'a text or { regex: ... }',
    blame: blameRegex,
    parse: (value) => {
      if (typeof value === 'string' && value !== '') return { kind: 'text', value }
      const regex = onlyKey(value, 'regex')
      const { data } = pattern().safeParse(regex)
      return data === undefined ? undefined : { kind: 'regex', value: data }
    }
  })
}
