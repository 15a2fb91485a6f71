import { CRC32_INITIAL, finishCrc32, updateCrc32, updateCrc32Word } from './crc32.ts'

const POINTS_PER_WEIGHT = 160

/** Most weight that a ring takes: 8,388,480 points, as Envoy's rings have 8,388,608 at the most. */
export const MAX_RING_WEIGHT = Math.floor(2 ** 23 / POINTS_PER_WEIGHT)

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
 * are merged in when the ring is next looked at, all at once and in place: those between them are moved as they are.
 */
export class KetamaRing {
  #size = 0
  /** Hashes and owners of the points, and room for more. */
  #hashes: Uint32Array = new Uint32Array(0)
  #owners: Uint32Array = new Uint32Array(0)
  #starts: Uint32Array = new Uint32Array(0)
  #shift = 0
  #added: { owner: number; points: Uint32Array }[] = []
  /** Owners whose points are replaced by those that are added. */
  readonly #dropped = new Set<number>()

  get size(): number {
    if (this.#added.length > 0) this.#merge()
    return this.#size
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
    const hashes = this.#hashes
    const owners = this.#owners
    let kept = 0
    for (let index = 0; index < this.#size; index++) {
      const other = owners[index] ?? 0
      if (other === owner) continue
      hashes[kept] = hashes[index] ?? 0
      owners[kept++] = other > owner ? other - 1 : other
    }
    this.#size = kept
    this.#index()
  }

  /** The index of the first point at or after the hash, going round at the end. The ring must not be empty. */
  find(hash: number): number {
    if (this.#added.length > 0) this.#merge()
    let index = this.#starts[hash >>> this.#shift] ?? 0
    while (index < this.#size && (this.#hashes[index] ?? 0) < hash) index++
    return index === this.#size ? 0 : index
  }

  /** The owner of the point at an index. */
  ownerAt(index: number): number {
    return this.#owners[index] ?? 0
  }

  #merge(): void {
    if (this.#dropped.size > 0) this.#drop()
    const added = sortTogether(this.#added)
    this.#added = []
    this.#reserve(this.#size + added.length)
    let end = this.#size
    // From the end, where there is room, so that each run of points moves once.
    for (let left = added.length - 1; left >= 0; left--) {
      const point = added[left] ?? 0
      const place = this.#placeOf(point, end)
      this.#hashes.copyWithin(place + left + 1, place, end)
      this.#owners.copyWithin(place + left + 1, place, end)
      this.#hashes[place + left] = Math.floor(point / OWNERS)
      this.#owners[place + left] = point % OWNERS
      end = place
    }
    this.#size += added.length
    this.#index()
  }

  /** Where a point belongs among those before `end`. */
  #placeOf(point: number, end: number): number {
    let low = 0
    let high = end
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = (this.#hashes[middle] ?? 0) * OWNERS + (this.#owners[middle] ?? 0)
      if (other < point) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Takes the points out that are replaced; the index over them is to be made anew. */
  #drop(): void {
    const isGone: boolean[] = []
    for (const owner of this.#dropped) isGone[owner] = true
    this.#dropped.clear()
    const hashes = this.#hashes
    const owners = this.#owners
    let kept = 0
    for (let index = 0; index < this.#size; index++) {
      const owner = owners[index] ?? 0
      if (isGone[owner] === true) continue
      hashes[kept] = hashes[index] ?? 0
      owners[kept++] = owner
    }
    this.#size = kept
  }

  /** Makes room for so many points; once there are some, for an eighth more, as more may come. */
  #reserve(size: number): void {
    if (size <= this.#hashes.length) return
    const room = this.#size === 0 ? size : size + (size >>> 3)
    this.#hashes = grown(this.#hashes, room)
    this.#owners = grown(this.#owners, room)
  }

  #index(): void {
    // At least one bit: a shift by 32 would be a shift by 0.
    const bits = Math.max(1, Math.ceil(Math.log2(this.#size)))
    const shift = 32 - bits
    const starts = this.#starts.length === 2 ** bits ? this.#starts : new Uint32Array(2 ** bits)
    const hashes = this.#hashes
    let bucket = 0
    for (let index = 0; index < this.#size; index++) {
      const last = (hashes[index] ?? 0) >>> shift
      while (bucket <= last) starts[bucket++] = index
    }
    starts.fill(this.#size, bucket)
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

function grown(words: Uint32Array, length: number): Uint32Array {
  const larger = new Uint32Array(length)
  larger.set(words)
  return larger
}
