import { createHash } from 'node:crypto'

const PIECE = 65_536

/** What a target answers to a request for `size` bytes under an id: every client can tell whether it got its own. */
export function contentOf(id: number, size: number): Buffer {
  return Buffer.alloc(size, `${id}:${'abcdefghijklmnopqrstuvwxyz'.repeat(1 + (id % 3))};`)
}

export function digest(body: Buffer): string {
  return createHash('sha1').update(body).digest('hex')
}

/** Random numbers that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A size that is mostly small, and now and then large. */
export function drawSize(random: () => number): number {
  const kind = random()
  if (kind < 0.1) return 0
  if (kind < 0.8) return Math.ceil(random() * 2_000)
  return Math.ceil(random() * 4 * PIECE)
}
