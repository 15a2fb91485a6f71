import { isIPv6 } from 'node:net'
import { z } from 'zod'
import { count, flag, integer, leaf, list, mapping, pattern, record, TOKEN, text, types } from './values.ts'

/** A path as it is matched. A prefix is by whole segments and has no slash at the end, unless it is `/`. */
export type PathMatch = { kind: 'exact' | 'prefix' | 'regex'; value: string }

/** A header or query parameter to match; header names are in lower case. `present` has the value `''`. */
export type ValueMatch = { name: string; kind: 'exact' | 'regex' | 'present'; value: string }

type Scalar = string | number | boolean

const HOST_LABELS = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/
const HOST_HEADER = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a path must not hold.
const PATH = /^\/[^\x00-\x20\x7f?#\\]*$/

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
    weight: count().prefault(1).describe('Share of the traffic, relative to the others; 0 = none.')
  },
  'the name of an upstream or a mapping'
)

const upstreams = z
  .custom<string | z.input<typeof share>[]>()
  .transform((value): z.input<typeof share>[] => (typeof value === 'string' ? [{ upstream: value }] : value))
  .pipe(z.array(share, { error: 'the name of an upstream, or a list' }))
  .register(types, { type: 'name, or list of mapping' })

const rewrite = mapping({
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
    .describe('Replaces what a regular expression finds in the path. At most one of prefix, path and regex.'),
  host: text('preserve, target or a host name such as api.example.com:8080', HOST_HEADER, '`preserve`, `target`, host')
    .prefault('preserve')
    .describe("Host header for the target: the client's, the target's own, or a literal one."),
  reverse: flag()
    .prefault(false)
    .describe('Undoes a rewritten prefix or host in `location`, and in domain and path of `set-cookie`.')
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
  upstream: upstreams.describe('Where to: an upstream, or several with weights.'),
  rewrite: rewrite.prefault({}).describe('What to change in path and host.'),
  request: request.prefault({}).describe('What to change in the request.'),
  response: response.prefault({}).describe('What to change in the response.'),
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

export const routes = list(route).transform((parsed) =>
  parsed.map(({ id, upstream, order, ...rest }, index) => ({
    ...rest,
    id: id ?? defaultRouteId(index),
    upstreams: upstream,
    order
  }))
)

/** The id of a route that was given none. */
export function defaultRouteId(index: number): string {
  return `route-${index + 1}`
}

function pathMatch() {
  return leaf<string | { regex: string }, PathMatch>({
    type: 'path, or `{ regex }`',
    expected: "a path such as /users or /users/* ('*' only as the last segment), or { regex: ... }",
    blame: blameRegex,
    parse: (value) => {
      if (typeof value === 'string') return parsePath(value)
      const regex = onlyKey(value, 'regex')
      return isPattern(regex) ? { kind: 'regex', value: regex } : undefined
    }
  })
}

function parsePath(path: string): PathMatch | undefined {
  if (!PATH.test(path) || path.endsWith('//*')) return undefined
  if (!path.includes('*')) return { kind: 'exact', value: path }
  const prefix = path.slice(0, -2)
  if (!path.endsWith('/*') || prefix.includes('*')) return undefined
  return { kind: 'prefix', value: prefix === '' ? '/' : prefix }
}

function valueMatch() {
  return leaf<Scalar | { regex: string } | { present: true }, Omit<ValueMatch, 'name'>>({
    type: 'value, `{ regex }` or `{ present: true }`',
    expected: 'a value, { regex: ... } or { present: true }',
    blame: blameRegex,
    parse: (value) => {
      const exact = toText(value)
      if (exact !== undefined) return { kind: 'exact', value: exact }
      if (onlyKey(value, 'present') === true) return { kind: 'present', value: '' }
      const regex = onlyKey(value, 'regex')
      return isPattern(regex) ? { kind: 'regex', value: regex } : undefined
    }
  })
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

function ruleValues() {
  return leaf<Scalar | readonly Scalar[], string[]>({
    type: 'value or list of values',
    expected: 'a string, number or boolean without line breaks, or a list of them',
    parse: (value) => {
      const texts = (Array.isArray(value) ? value : [value]).map(toText)
      return texts.length > 0 && texts.every((item) => item !== undefined) ? texts : undefined
    }
  })
}

function toText(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  // RFC 9110, section 5.5: CR, LF and NUL are invalid and dangerous in a field value.
  return typeof value === 'string' && !/[\r\n\0]/.test(value) ? value : undefined
}

function host() {
  return leaf<string, string>({
    type: 'host name',
    expected: 'a host name such as api.example.com or *.example.com, without port',
    parse: (value) => {
      const lower = typeof value === 'string' ? value.toLowerCase() : ''
      return HOST_LABELS.test(lower) || (/^\[.*\]$/.test(lower) && isIPv6(lower.slice(1, -1))) ? lower : undefined
    }
  })
}

function method() {
  return leaf<string, string>({
    type: 'method',
    expected: 'a request method such as GET',
    parse: (value) => (typeof value === 'string' && TOKEN.test(value) ? value.toUpperCase() : undefined)
  })
}

function pathText() {
  return text("a path that starts with '/', without query", PATH, 'path')
}

function onlyKey(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.keys(value).length === 1 ? Reflect.get(value, key) : undefined
}

function blameRegex(value: unknown) {
  return typeof onlyKey(value, 'regex') === 'string' ? { path: ['regex'], expected: 'a regular expression' } : undefined
}

function isPattern(source: unknown): source is string {
  return pattern().safeParse(source).success
}
