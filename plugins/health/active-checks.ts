import type { Balancer, Target } from '../balancer/index.ts'
import type { HealthChange } from './health.ts'
import type { CheckRules, Probe } from './probes/index.ts'
import type { Timetable } from './timetable.ts'
import { Verdict } from './verdict.ts'

export interface ActiveChecksSetup {
  readonly balancer: Balancer
  readonly rules: CheckRules
  readonly probe: Probe
  readonly timetable: Timetable
  /** A monotonic clock, in milliseconds. */
  now(): number
  /** A number from 0 up to, not including, 1. */
  random(): number
  /** Told of each change of state. */
  onChange(change: HealthChange, target: Target): void
  /** Told of each check that finds a healthy target well, after `onChange`. */
  readonly onSuccess?: ((target: Target) => void) | undefined
}

/** A target that is checked. */
class Subject {
  readonly target: Target
  verdict: Verdict
  /** Ends the check that is under way, or the wait for the next one. */
  stop: () => void = () => {}
  /** The number of the latest check. */
  round = 0

  constructor(target: Target, verdict: Verdict) {
    this.target = target
    this.verdict = verdict
  }
}

/**
 * Checks the targets of one upstream again and again, and keeps those from being picked that fail. Of each target no more
 * than one check is under way. Targets that are down are not checked, and those that come back are unknown anew: an
 * unhealthy one stays so until its first success.
 */
export class ActiveChecks {
  readonly #setup: ActiveChecksSetup
  readonly #subjects = new Map<Target, Subject>()
  /** Those whose time has come while `concurrency` checks were under way. */
  readonly #waiting = new Set<Subject>()
  #running = 0
  #isStarted = false

  constructor(setup: ActiveChecksSetup) {
    const { balancer } = setup
    this.#setup = setup
    for (const target of balancer.targets) this.#follow(target)
    balancer.observe({
      onJoin: (target) => this.#follow(target),
      onAdd: (target) => this.#begin(target),
      onRemove: (target) => this.#forget(target),
      onChange: (target, change) => {
        if (change === 'down') this.#turn(target)
      }
    })
  }

  /** Begins with the first check of every target. */
  start(): void {
    this.#isStarted = true
    for (const target of this.#subjects.keys()) this.#begin(target)
  }

  /** Ends all checks; the state of targets stays as it is. */
  stop(): void {
    this.#isStarted = false
    for (const subject of this.#subjects.values()) this.#rest(subject)
  }

  #follow(target: Target): void {
    // What is within the process cannot be out of reach, and has no address.
    if (!target.check || target.port === 0) return
    this.#subjects.set(target, new Subject(target, this.#createVerdict()))
    if (this.#setup.rules.required) target.set('pending', true)
  }

  #begin(target: Target): void {
    const subject = this.#subjects.get(target)
    if (this.#isStarted && subject !== undefined && !target.down) this.#check(subject)
  }

  #forget(target: Target): void {
    const subject = this.#subjects.get(target)
    this.#subjects.delete(target)
    if (subject !== undefined) this.#rest(subject)
  }

  #turn(target: Target): void {
    const subject = this.#subjects.get(target)
    if (subject === undefined) return
    this.#rest(subject)
    if (target.down) return
    subject.verdict = this.#createVerdict()
    if (this.#setup.rules.required && !target.has('unhealthy')) target.set('pending', true)
    this.#begin(target)
  }

  #rest(subject: Subject): void {
    subject.round++
    this.#waiting.delete(subject)
    subject.stop()
  }

  #check(subject: Subject): void {
    const { rules, timetable, probe, now } = this.#setup
    if (this.#running >= rules.concurrency) {
      this.#waiting.add(subject)
      return
    }
    this.#running++
    const round = ++subject.round
    const began = now()
    let isLate = false
    let cancelProbe = () => {}
    const cancelTimeout = timetable.after(rules.timeout, () => {
      isLate = true
      cancelProbe()
    })
    subject.stop = () => cancelProbe()
    const done = (failure: string | undefined) => {
      cancelTimeout()
      this.#running--
      if (subject.round === round) {
        subject.stop = () => {}
        const reason = isLate ? `no answer within ${rules.timeout} ms` : failure
        this.#judge(subject, reason)
        if (reason === undefined && subject.verdict.state === 'healthy') this.#setup.onSuccess?.(subject.target)
        // Whoever is told of the result may have taken the target out, or have put it back.
        if (subject.round === round) this.#wait(subject, now() - began)
      }
      this.#next()
    }
    try {
      cancelProbe = probe(subject.target, done)
    } catch (error) {
      // Node.js does not take what the configuration has for TLS.
      done(error instanceof Error ? error.message : String(error))
    }
  }

  /** From the beginning of one check to that of the next, but never before the end of the first. */
  #wait(subject: Subject, elapsed: number): void {
    const { rules, random, timetable } = this.#setup
    const wait = intervalAfter(subject.verdict, rules) * (1 + rules.jitter * random())
    subject.stop = timetable.after(Math.max(0, wait - elapsed), () => this.#check(subject))
  }

  #next(): void {
    const [subject] = this.#waiting
    if (subject === undefined || !this.#isStarted) return
    this.#waiting.delete(subject)
    this.#check(subject)
  }

  #judge({ target, verdict }: Subject, failure: string | undefined): void {
    const { balancer, rules, onChange } = this.#setup
    const before = verdict.state
    if (!verdict.add(failure === undefined)) return
    const isHealthy = verdict.state === 'healthy'
    target.set('unhealthy', !isHealthy)
    target.set('pending', false)
    const upstream = balancer.name
    if (!isHealthy) {
      const reason = `${countOf(rules.fall)} failed: ${failure}`
      onChange({ upstream, target: target.url, what: 'unhealthy', reason }, target)
      return
    }
    const reason = before === 'unknown' ? 'the first check has succeeded' : `${countOf(rules.rise)} succeeded`
    onChange({ upstream, target: target.url, what: 'healthy', reason }, target)
  }

  #createVerdict(): Verdict {
    return new Verdict(this.#setup.rules.fall, this.#setup.rules.rise)
  }
}

function intervalAfter({ state, isInTransition }: Verdict, rules: CheckRules): number {
  const { interval, fastInterval, unhealthyInterval = interval } = rules
  const usual = state === 'unhealthy' ? unhealthyInterval : interval
  return isInTransition ? (fastInterval ?? usual) : usual
}

function countOf(checks: number): string {
  return checks === 1 ? '1 check has' : `${checks} checks in a row have`
}
