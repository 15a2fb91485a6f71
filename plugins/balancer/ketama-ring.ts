import { CRC32_INITIAL, finishCrc32, updateCrc32, updateCrc32Word } from './crc32.ts'

const POINTS_PER_WEIGHT = 160

/**
 * The sorted ring points of a server, as nginx's `hash ... consistent` makes them. The points of a smaller weight are
 * among those of a larger one, so a change of weight moves as few keys as it can.
 *
 * @param server as written in an nginx `server` directive: `10.0.0.1:80`, `name`, `[::1]:80`, `unix:/path`
 * @see https://github.com/nginx/nginx/blob/release-1.22.1/src/http/modules/ngx_http_upstream_hash_module.c
 */
export function ketamaPoints(server: string, weight: number): Uint32Array {
  const [host, port] = splitServer(Buffer.from(server).toString('latin1'))
  const base = updateCrc32(CRC32_INITIAL, `${host}\0${port}`)
  const points = new Uint32Array(weight * POINTS_PER_WEIGHT)
  let previous = 0
  for (let index = 0; index < points.length; index++) {
    previous = finishCrc32(updateCrc32Word(base, previous))
    points[index] = previous
  }
  return points.sort()
}

function splitServer(server: string): [host: string, port: string] {
  if (/^unix:/i.test(server)) return [server.slice('unix:'.length), '']
  const colon = /:\d*$/.exec(server)
  return colon === null ? [server, ''] : [server.slice(0, colon.index), server.slice(colon.index + 1)]
}

/**
 * The points of several owners (numbered from 0) in order, and an index over them: one table entry for about each
 * point, by the upper bits of the hash, makes a look-up a step or two instead of a binary search.
 */
export class KetamaRing {
  #hashes: Uint32Array = new Uint32Array(0)
  #owners: Uint32Array = new Uint32Array(0)
  #starts: Uint32Array = new Uint32Array(0)
  #shift = 0

  get size(): number {
    return this.#hashes.length
  }

  /** Merges in sorted points. The owner must be the next number, so that it comes last among equal points. */
  add(owner: number, points: Uint32Array): void {
    const size = this.size + points.length
    const hashes = new Uint32Array(size)
    const owners = new Uint32Array(size)
    let left = 0
    let right = 0
    for (let index = 0; index < size; index++) {
      const old = this.#hashes[left] ?? Number.POSITIVE_INFINITY
      const added = points[right] ?? Number.POSITIVE_INFINITY
      if (old <= added) {
        hashes[index] = old
        owners[index] = this.ownerAt(left++)
      } else {
        hashes[index] = added
        owners[index] = owner
        right++
      }
    }
    this.#replace(hashes, owners)
  }

  /** Takes an owner's points out; the owners after it move up by one. */
  remove(owner: number): void {
    this.#replace(
      this.#hashes.filter((_, index) => this.#owners[index] !== owner),
      this.#owners.filter((other) => other !== owner).map((other) => (other > owner ? other - 1 : other))
    )
  }

  /** The index of the first point at or after the hash, going round at the end. The ring must not be empty. */
  find(hash: number): number {
    let index = this.#starts[hash >>> this.#shift] ?? 0
    while ((this.#hashes[index] ?? Number.POSITIVE_INFINITY) < hash) index++
    return index === this.size ? 0 : index
  }

  /** The owner of the point at an index. */
  ownerAt(index: number): number {
    return this.#owners[index] ?? 0
  }

  #replace(hashes: Uint32Array, owners: Uint32Array): void {
    // At least one bit: a shift by 32 would be a shift by 0.
    const bits = Math.max(1, Math.ceil(Math.log2(hashes.length)))
    const shift = 32 - bits
    const starts = new Uint32Array(2 ** bits)
    let index = 0
    for (let bucket = 0; bucket < starts.length; bucket++) {
      while (index < hashes.length && (hashes[index] ?? 0) >>> shift < bucket) index++
      starts[bucket] = index
    }
    this.#hashes = hashes
    this.#owners = owners
    this.#starts = starts
    this.#shift = shift
  }
}
