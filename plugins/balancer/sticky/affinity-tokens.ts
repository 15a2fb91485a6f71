import type { Target } from '../target.ts'
import { equalInConstantTime, hmac } from './signature.ts'

/** Bytes of a target's id: enough to tell targets apart, while the signature is what nobody can guess. */
const ID_BYTES = 9
const ID_LENGTH = 12
const SIGNATURE_BYTES = 16

interface Entry {
  readonly target: Target
  readonly secret: string
  readonly id: string
  /** The token, where it is the same for all clients. */
  readonly token: Buffer
}

export interface AffinityTokensSetup {
  /** The first one signs, all are accepted. */
  readonly secrets: readonly string[]
  /** What tokens are made for, so that those of one upstream are of no use at another. */
  readonly scope: string
  /** Milliseconds that a token holds; 0 = without end. */
  readonly ttl: number
  /** Milliseconds since the epoch. */
  date(): number
}

/**
 * Tokens by which clients are known to belong to a target: `id.signature`, or `id.expiry.signature`. The id is a keyed hash
 * of the target's URL, so that no address is told and none can be guessed; the signature is an HMAC-SHA256 of the rest.
 */
export class AffinityTokens {
  readonly #setup: AffinityTokensSetup
  readonly #entries = new Map<string, Entry>()

  constructor(setup: AffinityTokensSetup) {
    this.#setup = setup
  }

  add(target: Target): void {
    for (const secret of this.#setup.secrets) {
      const id = hmac(secret, `target\0${this.#setup.scope}\0${target.url}`, ID_BYTES)
      const token = Buffer.from(`${id}.${this.#sign(secret, id)}`)
      this.#entries.set(id, { target, secret, id, token })
    }
  }

  remove(target: Target): void {
    for (const [id, entry] of this.#entries) if (entry.target === target) this.#entries.delete(id)
  }

  /** The target of a token that is genuine and has not expired. */
  read(token: string): Target | undefined {
    return this.#verify(token)?.target
  }

  /** A token for the target; undefined when the one at hand will do. */
  renew(target: Target, token: string | undefined): string | undefined {
    const [secret = ''] = this.#setup.secrets
    const held = token === undefined ? undefined : this.#verify(token)
    if (held?.target === target && held.secret === secret) return undefined
    for (const entry of this.#entries.values()) {
      if (entry.target === target && entry.secret === secret) return this.#issue(entry)
    }
    return undefined
  }

  #issue({ secret, id, token }: Entry): string {
    const { ttl, date } = this.#setup
    if (ttl === 0) return token.toString()
    const body = `${id}.${Math.ceil((date() + ttl) / 1_000).toString(36)}`
    return `${body}.${this.#sign(secret, body)}`
  }

  #verify(token: string): Entry | undefined {
    const entry = this.#entries.get(token.slice(0, ID_LENGTH))
    if (entry === undefined) return undefined
    const { ttl, date } = this.#setup
    if (ttl === 0) return equalInConstantTime(Buffer.from(token), entry.token) ? entry : undefined

    const end = token.lastIndexOf('.')
    const body = token.slice(0, end)
    const signature = Buffer.from(this.#sign(entry.secret, body))
    if (!equalInConstantTime(Buffer.from(token.slice(end + 1)), signature)) return undefined
    return Number.parseInt(body.slice(ID_LENGTH + 1), 36) * 1_000 > date() ? entry : undefined
  }

  #sign(secret: string, body: string): string {
    return hmac(secret, `token\0${this.#setup.scope}\0${body}`, SIGNATURE_BYTES)
  }
}
