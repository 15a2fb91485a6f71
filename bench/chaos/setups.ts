import type { GatewayOptions } from '../../plugins/config/index.ts'

type Upstream = NonNullable<GatewayOptions['upstreams']>[string]

const timeouts = { connect: '250ms', response: '500ms', idle: '1s' } as const

/** What docs/health.md recommends: chosen by response time, outliers ejected, failures tried again elsewhere. */
export const RESILIENT: Upstream = {
  strategy: 'least-response-time',
  timeouts,
  retry: { attempts: 3, on: ['connect', 'reset', 'timeout', 'malformed', 502, 503, 504], backoff: { base: 0 } },
  health: {
    passive: {
      enabled: true,
      consecutiveFailures: 3,
      failureRate: 0.1,
      minRequests: 20,
      ejection: { share: 0.5 }
    }
  }
}

/** As a proxy does it that knows nothing of its targets. */
export const PLAIN: Upstream = { strategy: 'round-robin', timeouts, retry: { attempts: 0 } }
