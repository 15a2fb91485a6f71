import { createHash, randomBytes } from 'node:crypto'
import { InvalidStrategyError } from '../../errors.ts'
import { checkOptionNames } from '../options.ts'
import type { Affinity, StrategyOptions } from '../types.ts'
import { cookieAttributes } from './cookie-attributes.ts'

type Carrier = Pick<Affinity, 'from' | 'name' | 'attributes'>

const COOKIE_OPTIONS = ['name', 'path', 'domain', 'httpOnly', 'secure', 'sameSite']
const SHORTEST_SECRET = 16
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
const ATTRIBUTE = /^[\x20-\x3a\x3c-\x7e]+$/

/**
 * The secrets, the first of which signs; without any, one that is forgotten when the process ends.
 * @throws InvalidStrategyError
 */
export function readSecrets(value: unknown): string[] {
  if (value === undefined) return [randomBytes(32).toString('base64url')]
  const secrets: unknown[] = Array.isArray(value) ? value : [value]
  const strings = secrets.filter((secret) => typeof secret === 'string')
  if (strings.length === secrets.length && strings.every(({ length }) => length >= SHORTEST_SECRET)) {
    if (strings.length > 0) return strings
  }
  throw fault(`secret must be a string of at least ${SHORTEST_SECRET} characters, or a list of them`)
}

/**
 * Where the token travels: in the header that is named, else in a cookie.
 * @param ttl milliseconds; 0 = until the browser is closed
 * @throws InvalidStrategyError
 */
export function readCarrier({ cookie, header }: StrategyOptions, ttl: number, upstream: string): Carrier {
  if (header === undefined) return readCookie(typeof cookie === 'string' ? { name: cookie } : cookie, ttl, upstream)
  if (cookie !== undefined) throw fault('found cookie and header, expected one of them')
  if (typeof header !== 'string' || !TOKEN.test(header)) throw fault('header must be the name of a header')
  return { from: 'header', name: header.toLowerCase(), attributes: '' }
}

function readCookie(given: unknown, ttl: number, upstream: string): Carrier {
  const options = given === undefined ? {} : given
  if (!isRecord(options)) throw fault('cookie must be a name or a mapping')
  checkOptionNames('sticky', options, COOKIE_OPTIONS)
  const { name = defaultName(upstream), path = '/', domain, httpOnly = true, secure = false } = options
  const sameSite = options.sameSite ?? 'lax'
  if (typeof name !== 'string' || !TOKEN.test(name)) throw fault('cookie.name must be the name of a cookie')
  if (typeof path !== 'string' || !path.startsWith('/') || !ATTRIBUTE.test(path)) {
    throw fault('cookie.path must be a path')
  }
  if (domain !== undefined && (typeof domain !== 'string' || !ATTRIBUTE.test(domain))) {
    throw fault('cookie.domain must be the name of a domain')
  }
  if (typeof httpOnly !== 'boolean') throw fault('cookie.httpOnly must be true or false')
  if (typeof secure !== 'boolean') throw fault('cookie.secure must be true or false')
  if (sameSite !== 'lax' && sameSite !== 'strict' && sameSite !== 'none') {
    throw fault('cookie.sameSite must be lax, strict or none')
  }
  // Browsers drop it otherwise.
  if (sameSite === 'none' && !secure) throw fault('cookie.sameSite none needs cookie.secure')

  return { from: 'cookie', name, attributes: cookieAttributes({ path, domain, httpOnly, secure, sameSite, ttl }) }
}

/** Upstreams of one host must not take each other's cookie for their own; nor should it tell what they are called. */
function defaultName(upstream: string): string {
  return `sticky-${createHash('sha256').update(upstream).digest('hex').slice(0, 8)}`
}

function fault(message: string): Error {
  return new InvalidStrategyError('sticky', message)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
