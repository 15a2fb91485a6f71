import { CRC32_INITIAL, finishCrc32, updateCrc32 } from '../hashing/crc32.ts'
import { type HashSequence, NginxHash } from '../hashing/nginx-hash.ts'
import { checkOptionNames } from '../options.ts'
import type { StrategyFactory } from '../types.ts'

/**
 * Sends equal keys to the same target, by CRC-32 of the key, modulo the sum of the weights, as nginx's `hash` does. A
 * change of the list moves nearly all keys.
 *
 * @see https://github.com/nginx/nginx/blob/release-1.22.1/src/http/modules/ngx_http_upstream_hash_module.c
 */
export const hash: StrategyFactory = {
  name: 'hash',
  create(options, deps) {
    checkOptionNames('hash', options, [])
    return new NginxHash(new KeyHashes(), true, deps)
  }
}

/** Sums of `(crc32([N] key) >> 16) & 0x7fff` for N = none, 1, 2, ..., as in Cache::Memcached. */
class KeyHashes implements HashSequence {
  #key = ''
  #sum = 0
  #count = 0

  start(key: string): boolean {
    this.#key = key
    this.#sum = 0
    this.#count = 0
    return true
  }

  next(): number {
    const prefix = this.#count === 0 ? CRC32_INITIAL : updateCrc32(CRC32_INITIAL, String(this.#count))
    this.#count++
    this.#sum += (finishCrc32(updateCrc32(prefix, this.#key)) >>> 16) & 0x7fff
    return this.#sum
  }
}
