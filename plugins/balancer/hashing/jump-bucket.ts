import type { Uint64 } from './uint64.ts'

/**
 * The bucket, from 0 to `buckets` - 1, of a 64-bit key; 0 when there are none. Going from n to n + 1 buckets, one key in
 * n + 1 moves, and always to the new one.
 *
 * @param key is changed
 * @see https://arxiv.org/abs/1406.2294 Lamping and Veach, A fast, minimal memory, consistent hash algorithm
 */
export function jumpBucket(key: Uint64, buckets: number): number {
  let bucket = 0
  let next = 0
  while (next < buckets) {
    bucket = next
    // The multiplier of the paper's generator is 2862933555777941757.
    key.multiply(0x27bb2ee6, 0x87b0b0fd).add(0, 1)
    next = Math.floor((bucket + 1) * (2 ** 31 / ((key.high >>> 1) + 1)))
  }
  return bucket
}
