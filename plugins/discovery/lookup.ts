import { Resolver } from 'node:dns/promises'
import { LookupError, NoRecordsError } from '../errors.ts'
import { queryServices } from './service-query.ts'

/** Where a target is, as DNS has it. */
export interface Endpoint {
  /** An IP address. */
  readonly address: string
  /** What SRV records say; undefined for plain addresses. */
  readonly service: { readonly port: number; readonly priority: number; readonly weight: number } | undefined
}

export interface Found {
  readonly endpoints: readonly Endpoint[]
  /** Milliseconds that it holds. */
  readonly ttl: number
}

export interface LookupOptions {
  /** `address` is A and AAAA. */
  readonly type: 'address' | 'a' | 'aaaa' | 'srv'
  /** DNS servers, `address` or `address:port`; none = those of the system. */
  readonly servers: readonly string[]
  /** Milliseconds for each query. */
  readonly timeout: number
}

type Family = 4 | 6

const FAMILIES: Readonly<Record<LookupOptions['type'], readonly Family[]>> = {
  address: [4, 6],
  a: [4],
  aaaa: [6],
  srv: [4, 6]
}
/** What c-ares says of a name that does not exist, and of one that has no such record. */
const NO_RECORDS = new Set(['ENOTFOUND', 'ENODATA'])

/** Looks up names, and remembers the last good answer for each family, for when a server fails in between. */
export class Lookup {
  readonly #options: LookupOptions
  readonly #resolver: Resolver
  /** By family and name. */
  readonly #known = new Map<string, readonly string[]>()

  constructor(options: LookupOptions) {
    this.#options = options
    this.#resolver = new Resolver({ timeout: options.timeout, tries: 2 })
    if (options.servers.length > 0) this.#resolver.setServers(options.servers)
  }

  /** @throws NoRecordsError when the name has no records, LookupError when nobody says so */
  find(name: string): Promise<Found> {
    return this.#options.type === 'srv' ? this.#findServices(name) : this.#findAddresses(name)
  }

  cancel(): void {
    this.#resolver.cancel()
  }

  async #findServices(name: string): Promise<Found> {
    const { timeout } = this.#options
    const { records, ttl } = await queryServices(name, { servers: this.#resolver.getServers(), timeout })
    // A single root says that there decidedly is no such service (RFC 2782).
    const services = records.filter((record) => record.name !== '')
    if (services.length === 0) throw new NoRecordsError(name)

    const names = [...new Set(services.map((service) => service.name))]
    const found = new Map(await Promise.all(names.map(async (host) => [host, await this.#tryAddresses(host)] as const)))
    const endpoints = services.flatMap(({ name: host, port, priority, weight }) =>
      (found.get(host)?.endpoints ?? []).map(({ address }) => ({ address, service: { port, priority, weight } }))
    )
    this.#forgetAllBut(names)
    // What is remembered alone is no news.
    if (![...found.values()].some(({ isFresh }) => isFresh)) {
      throw new LookupError(`${name}: none of its services has an address`)
    }
    return { endpoints, ttl: Math.min(ttl * 1_000, ...[...found.values()].map((each) => each.ttl)) }
  }

  /** A service without an address is as none, until the next look; one of which no server knows keeps what it had. */
  async #tryAddresses(name: string): Promise<Found & { isFresh: boolean }> {
    try {
      return { ...(await this.#findAddresses(name)), isFresh: true }
    } catch (error) {
      const families = error instanceof NoRecordsError ? [] : FAMILIES[this.#options.type]
      const known = families.flatMap((family) => this.#known.get(keyOf(family, name)) ?? [])
      return { endpoints: known.map(endpointAt), ttl: 0, isFresh: false }
    }
  }

  /** Services come and go under new names. */
  #forgetAllBut(names: readonly string[]): void {
    for (const key of this.#known.keys()) if (!names.includes(key.slice(2))) this.#known.delete(key)
  }

  async #findAddresses(name: string): Promise<Found> {
    const answers = await Promise.all(FAMILIES[this.#options.type].map((family) => this.#ask(name, family)))
    const endpoints = answers.flatMap(({ addresses }) => addresses.map(endpointAt))
    const failure = answers.find(({ error }) => error !== undefined)?.error
    // With one family failing, the other one is still good.
    if (endpoints.length > 0 && answers.some(({ isFresh }) => isFresh)) {
      return { endpoints, ttl: Math.min(...answers.map(({ ttl }) => ttl)) }
    }
    if (failure !== undefined) throw new LookupError(`${name}: ${failure.message}`)
    throw new NoRecordsError(name)
  }

  async #ask(name: string, family: Family): Promise<Answer> {
    const key = keyOf(family, name)
    try {
      const records =
        family === 4
          ? await this.#resolver.resolve4(name, { ttl: true })
          : await this.#resolver.resolve6(name, { ttl: true })
      const addresses = records.map(({ address }) => address)
      this.#known.set(key, addresses)
      const ttl = Math.min(...records.map((record) => record.ttl)) * 1_000
      return { addresses, ttl, isFresh: true, error: undefined }
    } catch (error) {
      if (!(error instanceof Error)) throw error
      if (NO_RECORDS.has(String(Reflect.get(error, 'code')))) {
        this.#known.delete(key)
        return NOTHING
      }
      return { addresses: this.#known.get(key) ?? [], ttl: 0, isFresh: false, error }
    }
  }
}

function keyOf(family: Family, name: string): string {
  return `${family} ${name}`
}

function endpointAt(address: string): Endpoint {
  return { address, service: undefined }
}

interface Answer {
  readonly addresses: readonly string[]
  readonly ttl: number
  /** It comes from a server, and is not remembered. */
  readonly isFresh: boolean
  readonly error: Error | undefined
}

const NOTHING: Answer = { addresses: [], ttl: Number.POSITIVE_INFINITY, isFresh: false, error: undefined }
