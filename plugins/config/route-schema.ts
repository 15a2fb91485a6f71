import { z } from 'zod'
import { mirrors } from './mirror-schema.ts'
import {
  exactHost,
  host,
  hostHeader,
  method,
  pathMatch,
  pathText,
  port,
  redirectStatus,
  ruleValues,
  type ValueMatch,
  valueMatch
} from './route-values.ts'
import { sticky } from './sticky-schema.ts'
import { count, flag, integer, leaf, list, mapping, name, pattern, record, TOKEN, text, types } from './values.ts'

const anyName = [/./s, 'a parameter name'] as const
const headerName = [TOKEN, 'a header name'] as const

const match = mapping({
  path: pathMatch()
    .prefault('/*')
    .describe('`/users` exactly, `/users/*` as prefix by whole segments, or `{ regex: ... }`.'),
  hosts: list(host())
    .prefault([])
    .describe('Host names without port, `*.example.com` for all names below; none = every host.'),
  methods: list(method()).prefault([]).describe('Request methods; none = every method.'),
  headers: record(...headerName, valueMatch())
    .transform((entries) => named(entries, (name) => name.toLowerCase()))
    .prefault({})
    .describe('Headers by name: a value, `{ regex: ... }` or `{ present: true }`; all must match.'),
  query: record(...anyName, valueMatch())
    .transform((entries) => named(entries, (name) => name))
    .prefault({})
    .describe('Query parameters by name, in the same forms; all must match.')
})

const share = mapping(
  {
    upstream: text('the name of an upstream').describe('Name of the upstream.'),
    weight: count().prefault(1).describe('Share of the traffic, relative to the others; 0 = none.'),
    request: mapping({
      headers: rules(headerName)
        .prefault({})
        .describe('Changes to the headers of a request that goes there, after those of the route.')
    })
      .optional()
      .describe('What to change in a request that goes there.')
  },
  'the name of an upstream or a mapping'
)

const upstreams = z
  .custom<string | z.input<typeof share>[]>()
  .transform((value): z.input<typeof share>[] => (typeof value === 'string' ? [{ upstream: value }] : value))
  .pipe(z.array(share, { error: 'the name of an upstream, or a list' }))
  .register(types, { type: 'name, or list of mapping' })

/** At most one of them; what they do is the same for what goes to the target and for what the client is told. */
const pathChange = {
  prefix: pathText().optional().describe('Takes the place of the matched prefix.'),
  path: pathText().optional().describe('Takes the place of the whole path.'),
  regex: mapping({
    from: pattern().describe('What to replace in the path.'),
    to: leaf<string, string>({
      type: 'string',
      expected: 'a string',
      parse: (value) => (typeof value === 'string' ? value : undefined)
    }).describe('What to put there; `$1` is the first group.')
  })
    .optional()
    .describe('Replaces what a regular expression finds in the path. At most one of prefix, path and regex.')
}

const rewrite = mapping({
  ...pathChange,
  host: hostHeader()
    .prefault('preserve')
    .describe("Host header for the target: the client's, the target's own, or a literal one."),
  reverse: flag()
    .prefault(false)
    .describe('Undoes a rewritten prefix or host in `location`, and in domain and path of `set-cookie`.')
})

const redirect = mapping({
  scheme: name(['http', 'https']).optional().describe("Scheme of the new URL; by default the client's."),
  host: exactHost().optional().describe('Host of the new URL, without port; by default the one the client named.'),
  port: port()
    .optional()
    .describe('Port of the new URL; by default 80 or 443 if `scheme` is given, else the one the client reached.'),
  ...pathChange,
  status: redirectStatus().prefault(302).describe('301 or 308 for good; 302, 303 or 307 for now.')
})

const request = mapping({
  headers: rules(headerName).prefault({}).describe('Changes to the headers of the request.'),
  query: rules(anyName).prefault({}).describe('Changes to the query of the request.')
})

const response = mapping({
  headers: rules(headerName).prefault({}).describe('Changes to the headers of the response.')
})

const route = mapping({
  id: text('a name').optional().describe('Unique name; by default `route-1`, `route-2`, ... by position.'),
  match: match.prefault({}).describe('Which requests; by default all.'),
  upstream: upstreams.optional().describe('Where to: an upstream, or several with weights. Needed without `redirect`.'),
  sticky: sticky.optional().describe('What keeps a client with its share of several upstreams: a header or a cookie.'),
  mirror: mirrors
    .optional()
    .describe('Upstreams that get a copy of each request beside; see [mirroring](traffic.md#mirroring).'),
  redirect: redirect.optional().describe('Answers with a redirect, in place of an upstream.'),
  rewrite: rewrite.prefault({}).describe('What to change in path and host.'),
  request: request.prefault({}).describe('What to change in the request.'),
  response: response.prefault({}).describe('What to change in the response.'),
  upgrade: flag()
    .prefault(true)
    .describe('Whether clients may switch to another protocol, such as WebSocket; if not, their wish is ignored.'),
  retry: mapping({
    idempotencyKey: flag()
      .prefault(false)
      .describe('Whether a POST or PATCH with an `idempotency-key` may be tried again like a GET.')
  })
    .prefault({})
    .describe('What may be tried again, beside what the upstream says.'),
  middleware: list(text('the name of a middleware')).prefault([]).describe('Layers by name, the outermost first.'),
  order: integer().optional().describe('Explicit precedence, lower first, and before all routes without one.')
})

type Written = z.input<typeof route>
type Shared = Omit<Written, 'upstream' | 'redirect' | ForwardingKey>
type ForwardingKey = 'sticky' | 'mirror' | 'rewrite' | 'request' | 'retry'

interface Forwarding extends Pick<Written, ForwardingKey> {
  upstream: NonNullable<Written['upstream']>
  redirect?: undefined
}

interface Redirecting extends Partial<Record<ForwardingKey, undefined>> {
  redirect: NonNullable<Written['redirect']>
  upstream?: undefined
}

/** A route as one writes it: it either forwards or redirects. */
export type RouteOptions = Shared & (Forwarding | Redirecting)

export const routes = z
  .custom<RouteOptions[]>()
  .transform((value): Written[] => value)
  .pipe(list(route))
  .transform((parsed) =>
    parsed.map(({ id, upstream, sticky, mirror, redirect, order, ...rest }, index) => ({
      ...rest,
      id: id ?? defaultRouteId(index),
      upstreams: upstream ?? [],
      sticky,
      mirrors: mirror ?? [],
      redirect,
      order
    }))
  )

/** The id of a route that was given none. */
export function defaultRouteId(index: number): string {
  return `route-${index + 1}`
}

function named(entries: Record<string, Omit<ValueMatch, 'name'>>, spell: (name: string) => string): ValueMatch[] {
  return Object.entries(entries).map(([name, value]) => ({ name: spell(name), ...value }))
}

function rules([form, expected]: readonly [RegExp, string]) {
  const values = record(form, expected, ruleValues()).transform((entries) =>
    Object.entries(entries).flatMap(([name, texts]) =>
      texts.map((value): [name: string, value: string] => [name, value])
    )
  )
  return mapping({
    set: values.prefault({}).describe('Name and value, or list of values; takes the place of what was there.'),
    add: values.prefault({}).describe('Name and value, or list of values; comes after what is there.'),
    remove: list(text(expected, form)).prefault([]).describe('Names to remove.')
  })
}
