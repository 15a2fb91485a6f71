import type { UpstreamConfig } from '../../config/index.ts'
import { createGrpcProbe } from './grpc.ts'
import { createHttpProbe } from './http.ts'
import { createTcpProbe } from './tcp.ts'
import type { CheckRules, Probe } from './types.ts'

export type { CheckRules, Done, Probe } from './types.ts'

/** The probe of an upstream. */
export function createProbe(rules: CheckRules, { tls, http2 }: Pick<UpstreamConfig, 'tls' | 'http2'>): Probe {
  switch (rules.type) {
    case 'http':
      return createHttpProbe(rules, tls, http2)
    case 'tcp':
      return createTcpProbe(rules)
    case 'grpc':
      return createGrpcProbe(rules, tls)
  }
}
