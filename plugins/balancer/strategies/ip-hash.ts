import { readNetwork } from '../hashing/client-network.ts'
import { type HashSequence, NginxHash } from '../hashing/nginx-hash.ts'
import { checkOptionNames } from '../options.ts'
import type { StrategyFactory } from '../types.ts'

/**
 * Sends clients of the same network (the first three octets of IPv4, or the IPv6 address) to the same target, as nginx's
 * `ip_hash` does. A key that is not an IP address is as none.
 *
 * @see https://github.com/nginx/nginx/blob/release-1.22.1/src/http/modules/ngx_http_upstream_ip_hash_module.c
 */
export const ipHash: StrategyFactory = {
  name: 'ip-hash',
  create(options, deps) {
    checkOptionNames('ip-hash', options, [])
    return new NginxHash(new NetworkHashes(), 'ip', deps)
  }
}

class NetworkHashes implements HashSequence {
  readonly #bytes = new Uint8Array(16)
  #length = 0
  #hash = 0

  start(key: string): boolean {
    this.#length = readNetwork(key, this.#bytes)
    this.#hash = 89
    return this.#length > 0
  }

  next(): number {
    for (let index = 0; index < this.#length; index++) {
      this.#hash = (this.#hash * 113 + (this.#bytes[index] ?? 0)) % 6271
    }
    return this.#hash
  }
}
