import type { StrategyFactory } from '../types.ts'
import { boundedConsistentHash } from './bounded-consistent-hash.ts'
import { consistentHash } from './consistent-hash.ts'
import { hash } from './hash.ts'
import { ipHash } from './ip-hash.ts'
import { jumpHash } from './jump-hash.ts'
import { leastConnections } from './least-connections.ts'
import { leastResponseTime } from './least-response-time.ts'
import { maglev } from './maglev.ts'
import { p2c } from './p2c.ts'
import { peakEwma } from './peak-ewma.ts'
import { random } from './random.ts'
import { rendezvous } from './rendezvous.ts'
import { roundRobin } from './round-robin.ts'
import { smoothWeightedRoundRobin } from './smooth-weighted-round-robin.ts'
import { sticky } from './sticky.ts'

export const builtInStrategies: readonly StrategyFactory[] = [
  roundRobin,
  smoothWeightedRoundRobin,
  leastConnections,
  p2c,
  leastResponseTime,
  peakEwma,
  consistentHash,
  boundedConsistentHash,
  maglev,
  rendezvous,
  jumpHash,
  hash,
  ipHash,
  random,
  sticky
]
