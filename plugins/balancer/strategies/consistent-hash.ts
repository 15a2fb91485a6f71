import { HashRing } from '../hashing/hash-ring.ts'
import { checkOptionNames, readCompat } from '../options.ts'
import type { StrategyFactory } from '../types.ts'

/** Points that nginx walks past before it takes the targets in turn. */
const NGINX_MISSES = 20

/**
 * Sends equal keys to the same target, on the ring of nginx's `hash ... consistent`: a mixed fleet of nginx and this
 * gateway agrees. An unavailable target keeps its points; only its own keys go elsewhere, and come back.
 * Without a key: smooth weighted round robin. With `compat: 'nginx'` also after 20 points of unavailable targets.
 *
 * @see https://github.com/nginx/nginx/blob/release-1.22.1/src/http/modules/ngx_http_upstream_hash_module.c
 */
export const consistentHash: StrategyFactory = {
  name: 'consistent-hash',
  create(options, { now }) {
    checkOptionNames('consistent-hash', options, ['compat'])
    return new HashRing(now, readCompat('consistent-hash', options.compat) ? NGINX_MISSES : undefined)
  }
}
