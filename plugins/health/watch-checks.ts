import type { Balancer, Target } from '../balancer/index.ts'
import type { UpstreamConfig } from '../config/index.ts'
import { ActiveChecks } from './active-checks.ts'
import type { HealthChange, Watch } from './health.ts'
import type { OutlierDetector } from './outlier-detector.ts'
import { createProbe } from './probes/index.ts'

/** Checks the targets of an upstream, where it has that; to be started and stopped by the caller. */
export function watchChecks(
  balancer: Balancer,
  upstream: UpstreamConfig,
  { health, timetable, now, random }: Watch,
  outliers: OutlierDetector | undefined
): ActiveChecks | undefined {
  const { active, passive } = upstream.health
  if (active?.enabled !== true) return undefined
  const onChange = (change: HealthChange, target: Target) => {
    health.report(change)
    // What was seen to be gone, and to be back, has nothing to do with what its requests were like before.
    if (change.what === 'healthy') outliers?.readmit(target, 'active checks find it healthy again')
  }
  const onSuccess = passive.ejection.endedByCheck
    ? (target: Target) => outliers?.readmit(target, 'an active check has succeeded')
    : undefined
  const probe = createProbe(active, upstream)
  return new ActiveChecks({ balancer, rules: active, probe, timetable, now, random, onChange, onSuccess })
}
