import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { cookieAttributes, equalInConstantTime, hmac, uniformOf, weightedScore, Xxh64 } from '../../balancer/index.ts'
import type { RouteConfig } from '../../config/index.ts'
import { compileHashKey, type KeyReader } from './hash-key.ts'
import { createSplit, type Share } from './split.ts'

type StickyConfig = NonNullable<RouteConfig['sticky']>
type CookieConfig = NonNullable<StickyConfig['cookie']>

/** A share of a split that is the same one whatever its place in the list. */
export interface NamedShare extends Share {
  readonly name: string
}

/** What a request is given. */
export interface StickyChoice<T> {
  readonly share: T | undefined
  /** Value of Set-Cookie for a client that is to be known from now on. */
  readonly setCookie: string | undefined
}

const PLACE_BYTES = 6
const PLACE = /^[\w-]{8}$/
const SIGNATURE_BYTES = 16

/**
 * Chooses among shares by weight and by what a client is known by, so that it gets the same one each time.
 */
export class StickySplit<T extends NamedShare> {
  private readonly pick: (key: string) => T | undefined
  private readonly draw: () => T | undefined
  private readonly read: KeyReader | undefined
  private readonly places: PlaceCookie | undefined

  constructor(shares: readonly T[], { header, cookie }: StickyConfig, random: () => number) {
    this.pick = createKeyedSplit(shares)
    this.draw = createSplit(shares, random)
    this.places = cookie === undefined ? undefined : new PlaceCookie(cookie)
    if (header !== undefined) this.read = compileHashKey({ from: 'header', name: header })
    else if (cookie !== undefined) this.read = compileHashKey({ from: 'cookie', name: cookie.name })
  }

  choose(message: IncomingMessage): StickyChoice<T> {
    const value = this.read?.(message, noAddress) ?? ''
    if (this.places === undefined) {
      return { share: value === '' ? this.draw() : this.pick(value), setCookie: undefined }
    }
    const known = this.places.read(value)
    const place = known ?? this.places.create()
    return { share: this.pick(place), setCookie: this.places.renew(place, known === undefined ? '' : value) }
  }
}

/**
 * Maps keys to shares by weight, by the highest weighted score: when weights change, or shares come and go, a key moves
 * only to a share that has grown against its own, and so no more of them move than must where one share changes.
 */
export function createKeyedSplit<T extends NamedShare>(shares: readonly T[]): (key: string) => T | undefined {
  const chosen = shares.filter(({ weight }) => weight > 0)
  const hash = new Xxh64()
  return (key) => {
    let best: T | undefined
    let highest = Number.NEGATIVE_INFINITY
    for (const share of chosen) {
      const { high, low } = hash.hash(`${share.name}\0${key}`)
      const score = weightedScore(share.weight, uniformOf(high, low))
      if (score <= highest) continue
      best = share
      highest = score
    }
    return best
  }
}

/** A cookie with a random place in all splits that use it, `place` or `place.signature`: it tells nothing of upstreams. */
class PlaceCookie {
  private readonly name: string
  private readonly attributes: string
  private readonly secrets: readonly string[]

  constructor(config: CookieConfig) {
    this.name = config.name
    this.attributes = cookieAttributes(config)
    this.secrets = config.secret ?? []
  }

  /** The place in a genuine cookie. */
  read(value: string): string | undefined {
    const place = value.slice(0, 8)
    if (!PLACE.test(place)) return undefined
    if (this.secrets.length === 0) return value.length === 8 ? place : undefined
    const given = Buffer.from(value)
    const isGenuine = (secret: string) => equalInConstantTime(given, Buffer.from(this.sign(secret, place)))
    return this.secrets.some(isGenuine) ? place : undefined
  }

  create(): string {
    return randomBytes(PLACE_BYTES).toString('base64url')
  }

  /** What the client needs to be given; undefined when the cookie that it brought will do. */
  renew(place: string, brought: string): string | undefined {
    const [secret] = this.secrets
    // Only where secrets have been exchanged may a genuine cookie be signed by another.
    if (brought !== '' && (this.secrets.length < 2 || secret === undefined)) return undefined
    const value = secret === undefined ? place : this.sign(secret, place)
    return value === brought ? undefined : `${this.name}=${value}${this.attributes}`
  }

  private sign(secret: string, place: string): string {
    return `${place}.${hmac(secret, `split\0${this.name}\0${place}`, SIGNATURE_BYTES)}`
  }
}

function noAddress(): string {
  return ''
}
