import { amount, count, duration, flag, mapping, positiveDuration, share } from './values.ts'

const ejection = mapping({
  base: duration().prefault('30s').describe('How long a target is ejected, times the number of its latest ejections.'),
  max: duration().prefault('300s').describe('The longest ejection; `base` where that is longer.'),
  jitter: duration().prefault(0).describe('A random time up to this is added to each ejection.'),
  share: share().prefault(0.1).describe('Share of the targets that may be ejected at once; one may be in any case.'),
  endedByCheck: flag()
    .prefault(false)
    .describe('Whether any successful active check ends an ejection; else only those that had failed before.')
})

/** Outlier detection. */
export const passive = mapping({
  enabled: flag().prefault(false).describe('Whether targets that fail more than the others are ejected for a time.'),
  consecutiveFailures: count()
    .prefault(5)
    .describe('So many failures in a row eject a target; 0 = they are not looked at.'),
  window: positiveDuration().prefault('10s').describe('The time over which rates are taken.'),
  minRequests: count().prefault(100).describe('Requests within `window` without which rates of a target say nothing.'),
  failureRate: share()
    .prefault(0)
    .describe('Share of failures within `window` that ejects a target; 0 = it is not looked at.'),
  deviation: amount()
    .prefault(1.9)
    .describe(
      'A target is ejected whose success rate is so many standard deviations below the mean; 0 = it is not looked at.'
    ),
  ejection: ejection.prefault({}).describe('For how long, and how many.')
})

function breaker(whom: string) {
  return mapping({
    enabled: flag().prefault(false).describe(`Whether there is a circuit breaker for ${whom}.`),
    failureRate: share()
      .prefault(0.5)
      .describe('Share of failures of any kind within `window` that opens it; 0 = none does.'),
    networkErrorRate: share()
      .prefault(0)
      .describe('Share of attempts without a usable response within `window` that opens it; 0 = none does.'),
    slowRate: share()
      .prefault(0)
      .describe('Share of slow responses within `window` that opens it; 0 = each of them is a failure instead.'),
    consecutiveFailures: count().prefault(0).describe('So many failures in a row open it; 0 = none do.'),
    slowAfter: duration().prefault(0).describe('A response is slow that takes longer than this to begin; 0 = none is.'),
    window: positiveDuration().prefault('10s').describe('The time over which rates are taken.'),
    minRequests: count().prefault(20).describe('Requests within `window` without which rates say nothing.'),
    openFor: duration().prefault('10s').describe('How long it lets nothing through.'),
    recovery: positiveDuration()
      .prefault('10s')
      .describe('The time after that in which the share of requests that it lets through grows to all of them.')
  })
}

export const circuitBreaker = mapping({
  target: breaker('each target').prefault({}).describe('Puts a target out of use.'),
  upstream: breaker('the upstream as a whole').prefault({}).describe('Turns requests away, with a 503.')
})
