import type { z } from 'zod'
import { duration, flag, leaf, mapping, name, TOKEN, text, types } from './values.ts'

const ATTRIBUTE = /^[\x20-\x3a\x3c-\x7e]+$/

const cookie = mapping({
  name: text('the name of a cookie', TOKEN)
    .prefault('split')
    .describe('Its name. Routes that share it give a client the same place in each of their splits.'),
  path: text('a path', /^\/[\x20-\x3a\x3c-\x7e]*$/, 'path')
    .prefault('/')
    .describe('Its `Path`.'),
  domain: text('the name of a domain', ATTRIBUTE).optional().describe('Its `Domain`; by default that host alone.'),
  httpOnly: flag().prefault(true).describe('Whether scripts cannot read it.'),
  secure: flag().prefault(false).describe('Whether it is sent over TLS only.'),
  sameSite: name(['lax', 'strict', 'none']).prefault('lax').describe('Its `SameSite`; `none` needs `secure`.'),
  ttl: duration().prefault(0).describe('How long browsers keep it; 0 = until they are closed.'),
  secret: secrets()
    .optional()
    .describe(
      'Signs it, so that clients cannot choose their place: 16 characters or more, or a list of which the first signs and all are accepted.'
    )
})

/** What a client is known by, so that it stays with its share. */
export const sticky = mapping({
  header: text('a header name', TOKEN)
    .transform((header) => header.toLowerCase())
    .register(types, { type: 'string' })
    .optional()
    .describe('Header whose value stands for the client; requests without it are shared at random.'),
  cookie: cookie.optional().describe('Cookie that a client gets with its first answer; `{}` for the defaults.')
}).transform((parsed) => ({ header: parsed.header, cookie: parsed.cookie }))

export type StickyConfig = z.output<typeof sticky>

/** How long they are is checked where no fault would show them. */
function secrets() {
  return leaf<string | readonly string[], string[]>({
    type: 'string, or list (string)',
    expected: 'a string, or a list of them',
    parse: (value) => {
      const list: unknown[] = Array.isArray(value) ? value : [value]
      const strings = list.filter((item) => typeof item === 'string')
      return strings.length > 0 && strings.length === list.length ? strings : undefined
    }
  })
}
