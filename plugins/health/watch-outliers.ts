import type { Balancer } from '../balancer/index.ts'
import type { Watch } from './health.ts'
import { OutlierDetector, type OutlierOptions } from './outlier-detector.ts'
import { RollingCounts } from './rolling-counts.ts'

/**
 * Ejects outliers among the targets of an upstream.
 * @param mayLeaveNone see `OutlierDeps`
 */
export function watchOutliers(
  balancer: Balancer,
  options: OutlierOptions,
  watch: Watch,
  mayLeaveNone: boolean
): OutlierDetector {
  const { health, timetable, now, random } = watch
  const upstream = balancer.name
  const detector = new OutlierDetector(options, {
    targets: () => balancer.targets,
    mayLeaveNone,
    now,
    random,
    onEject: ({ url }, why, milliseconds) => {
      const reason = `${why}; for ${Math.round(milliseconds)} ms`
      health.report({ upstream, target: url, what: 'ejected', reason })
    },
    onReturn: ({ url }, reason) => health.report({ upstream, target: url, what: 'readmitted', reason })
  })
  balancer.observe(detector)
  timetable.every(RollingCounts.stepOf(options.window), () => detector.tick())
  return detector
}
