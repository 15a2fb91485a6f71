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
 * point, by the upper bits of the hash, makes a look-up a step or two instead of a binary search. Points that are added
 * are merged in when the ring is next looked at, all at once.
 */
export class KetamaRing {
  #hashes: Uint32Array = new Uint32Array(0)
  #owners: Uint32Array = new Uint32Array(0)
  #starts: Uint32Array = new Uint32Array(0)
  #shift = 0
  #added: { owner: number; points: Uint32Array }[] = []
  /** Owners whose points are replaced by those that are added. */
  #dropped = new Set<number>()

  get size(): number {
    if (this.#added.length > 0) this.#merge()
    return this.#hashes.length
  }

  /** Adds the sorted points of an owner that has none yet. Among equal points, the one with the lower number owns. */
  add(owner: number, points: Uint32Array): void {
    this.#added.push({ owner, points })
  }

  /** Puts sorted points in place of those that an owner has. */
  replace(owner: number, points: Uint32Array): void {
    this.#dropped.add(owner)
    this.#added = this.#added.filter((other) => other.owner !== owner)
    this.add(owner, points)
  }

  /** Takes an owner's points out; the owners after it move up by one. */
  remove(owner: number): void {
    if (this.#added.length > 0) this.#merge()
    this.#drop(new Set([owner]))
    this.#owners = this.#owners.map((other) => (other > owner ? other - 1 : other))
    this.#replace(this.#hashes, this.#owners)
  }

  /** The index of the first point at or after the hash, going round at the end. The ring must not be empty. */
  find(hash: number): number {
    if (this.#added.length > 0) this.#merge()
    let index = this.#starts[hash >>> this.#shift] ?? 0
    while ((this.#hashes[index] ?? Number.POSITIVE_INFINITY) < hash) index++
    return index === this.#hashes.length ? 0 : index
  }

  /** The owner of the point at an index. */
  ownerAt(index: number): number {
    return this.#owners[index] ?? 0
  }

  #merge(): void {
    const added = sortTogether(this.#added)
    this.#added = []
    if (this.#dropped.size > 0) this.#drop(this.#dropped)
    this.#dropped = new Set()
    const size = this.#hashes.length + added.length
    const hashes = new Uint32Array(size)
    const owners = new Uint32Array(size)
    let left = 0
    let right = 0
    for (let index = 0; index < size; index++) {
      const old = (this.#hashes[left] ?? Number.POSITIVE_INFINITY) * OWNERS + (this.#owners[left] ?? 0)
      const next = added[right] ?? Number.POSITIVE_INFINITY
      const point = Math.min(old, next)
      hashes[index] = Math.floor(point / OWNERS)
      owners[index] = point % OWNERS
      if (point === old) left++
      else right++
    }
    this.#replace(hashes, owners)
  }

  /** Takes the points of some owners out; the index over them is to be made anew. */
  #drop(gone: ReadonlySet<number>): void {
    let kept = 0
    for (let index = 0; index < this.#hashes.length; index++) {
      const owner = this.#owners[index] ?? 0
      if (gone.has(owner)) continue
      this.#hashes[kept] = this.#hashes[index] ?? 0
      this.#owners[kept++] = owner
    }
    this.#hashes = this.#hashes.slice(0, kept)
    this.#owners = this.#owners.slice(0, kept)
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

/** Owners that fit beside a hash of 32 bits into a double. */
const OWNERS = 2 ** 21

/** Points as `hash * OWNERS + owner`, in order: by hash, and by owner where hashes are equal. */
function sortTogether(added: readonly { owner: number; points: Uint32Array }[]): Float64Array {
  const size = added.reduce((sum, { points }) => sum + points.length, 0)
  const packed = new Float64Array(size)
  let index = 0
  for (const { owner, points } of added) {
    for (const point of points) packed[index++] = point * OWNERS + owner
  }
  return packed.sort()
}
