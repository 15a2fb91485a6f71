import { crc32 } from './crc32.ts'

/**
 * A number of 32 bits that a key draws by being what it is: the same each time, and in each process.
 * @param purpose keys draw another number for each one
 */
export function drawByKey(key: string, purpose: number): number {
  return finalize(crc32(key) ^ purpose) >>> 0
}

/** The finalizer of MurmurHash3: every bit of the input flips each bit of the output with a chance of one half. */
export function finalize(word: number): number {
  let mixed = word ^ (word >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
