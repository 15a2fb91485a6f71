import { z } from 'zod'
import { count, flag, list, mapping, percent, positiveDuration, size, TOKEN, text, types } from './values.ts'

// `/a`, `/a/*/b`, with `~1` for a slash and `~0` for a tilde within a name, as in RFC 6901.
const POINTER = /^(?:\/(?:[^~/]|~[01])*)+$/

const compare = mapping({
  headers: flag().prefault(true).describe('Whether headers are compared.'),
  ignoreHeaders: list(text('a header name', TOKEN))
    .prefault(['age', 'date', 'expires', 'set-cookie', 'x-request-id'])
    .describe('Headers that may differ, in any case; those of the connection, and content-length, always may.'),
  body: flag().prefault(true).describe('Whether bodies are compared: JSON by its values, anything else by its bytes.'),
  ignorePaths: list(text('a JSON pointer such as /updatedAt or /items/*/id', POINTER, 'JSON pointer'))
    .prefault([])
    .describe('What may differ in JSON, as [JSON pointers](traffic.md#comparison); `*` is any name or index.'),
  bodyLimit: size().prefault('64kb').describe('Largest body that is compared; so much is kept of each response.')
})

const mirror = mapping(
  {
    upstream: text('the name of an upstream').describe('Name of the upstream that gets copies.'),
    percent: percent().prefault(100).describe('How many of a hundred requests are copied, at random.'),
    bodyLimit: size()
      .prefault('64kb')
      .describe('Largest request body that is kept for a copy; larger requests are not copied.'),
    responseLimit: size().prefault('1mb').describe('Bytes of the response that are read, and thrown away.'),
    timeout: positiveDuration()
      .prefault('5s')
      .describe('How long a copy may take, from the choice of a target to the end of its response.'),
    maxInFlight: count()
      .prefault(100)
      .describe('Most copies that are kept or under way at once; further requests are not copied.'),
    shadowHost: flag()
      .prefault(false)
      .describe('Whether the Host ends in `-shadow`, so that the logs of targets tell copies apart.'),
    compare: compare.optional().describe('Compares the responses, and reports how they differ; `{}` for the defaults.')
  },
  'the name of an upstream or a mapping'
)

export const mirrors = z
  .custom<string | z.input<typeof mirror>[]>()
  .transform((value): z.input<typeof mirror>[] => (typeof value === 'string' ? [{ upstream: value }] : value))
  .pipe(z.array(mirror, { error: 'the name of an upstream, or a list' }))
  .register(types, { type: 'name, or list of mapping' })

/** In milliseconds; 0 would be no limit, which is what this must have. */
