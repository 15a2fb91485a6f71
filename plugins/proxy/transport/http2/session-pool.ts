import type { Target, TlsOptions } from '../../../balancer/index.ts'
import { ConnectFailedError, ConnectTimeoutError, UpgradeUnsupportedError } from '../../../errors.ts'
import { Dialer } from '../dialer.ts'
import type { TransportAttempt, TransportHandler, TransportRequest } from '../types.ts'
import { type AttemptOwner, Http2Attempt } from './attempt.ts'
import { Session, type SessionOwner, USUAL_LIMIT } from './session.ts'

/** Sessions to one target, those that are leaving included. */
const MAX_SESSIONS = 100
/** Requests that are too much by themselves must not do more harm than this to the others: streams at once. */
const MIN_STREAM_LIMIT = 4
/** A limit that was learnt from an overload is raised by one stream each time that so many milliseconds pass in calm. */
const CALM_INTERVAL = 10_000
const SWEEP_INTERVAL = 1_000

/**
 * The sessions to one target. A request goes to the first one that has room, so that spare ones grow old and go.
 * Where none has, it waits here, and not inside Node.js where it could neither be seen nor be given to another session.
 */
export class SessionPool implements SessionOwner, AttemptOwner {
  /** As many as a session had open beside one that was turned away: the others were not too much for the target. */
  streamLimit = Number.POSITIVE_INFINITY

  private readonly dialer: Dialer
  private readonly now: () => number
  private readonly onEmpty: () => void
  private readonly sessions: Session[] = []
  private readonly waiting: Http2Attempt[] = []
  private calmSince = 0
  private sweeper: NodeJS.Timeout | undefined = undefined

  constructor(target: Target, tls: TlsOptions, now: () => number, onEmpty: () => void) {
    this.dialer = new Dialer(target, tls, 'h2')
    this.now = now
    this.onEmpty = onEmpty
  }

  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    const attempt = new Http2Attempt(this, request, handler)
    if (request.upgrade !== undefined) {
      attempt.fail(new UpgradeUnsupportedError(request.upgrade))
      return attempt
    }
    const session = this.sessions.find((session) => session.room > 0 && suits(session, request))
    if (session !== undefined && !session.resting) {
      attempt.begin(session)
      return attempt
    }
    attempt.wait()
    this.waiting.push(attempt)
    if (session === undefined) this.openSessions()
    else session.poll()
    return attempt
  }

  forget(attempt: Http2Attempt): void {
    const at = this.waiting.indexOf(attempt)
    if (at >= 0) this.waiting.splice(at, 1)
  }

  onOverload(open: number): void {
    this.streamLimit = Math.max(MIN_STREAM_LIMIT, Math.min(this.streamLimit, open))
    this.calmSince = this.now()
  }

  onChange(session: Session): void {
    if (this.waiting.length === 0) return
    for (let i = 0; i < this.waiting.length && session.room > 0; ) {
      const attempt = this.waiting[i]
      if (attempt === undefined || !suits(session, attempt.request)) i++
      else {
        this.waiting.splice(i, 1)
        attempt.begin(session)
      }
    }
    this.openSessions()
  }

  onClose(session: Session, error: Error | undefined): void {
    this.sessions.splice(this.sessions.indexOf(session), 1)
    // A request whose own time is up knows it; one that came later may have another try.
    if (error !== undefined && !(error instanceof ConnectTimeoutError) && !this.sessions.some(hasProspects)) {
      for (const attempt of this.waiting.splice(0)) attempt.fail(error)
    }
    this.openSessions()
    if (this.sessions.length > 0) return
    clearInterval(this.sweeper)
    this.sweeper = undefined
    this.onEmpty()
  }

  destroy(): void {
    for (const attempt of this.waiting.splice(0)) attempt.fail(new ConnectFailedError())
    for (const session of [...this.sessions]) session.destroy()
  }

  /** Takes as many sessions as the waiting requests will fill: those that have room, then new ones. */
  private openSessions(): void {
    const [first] = this.waiting
    // Where a target takes no requests for now, it would not take them on another session either.
    if (first === undefined || this.sessions.some(({ capacity }) => capacity === 0)) return
    const limit =
      this.sessions.find(({ capacity }) => capacity !== undefined)?.capacity ?? Math.min(this.streamLimit, USUAL_LIMIT)
    const reusing = this.waiting.some(({ request }) => !request.fresh)
    let missing = this.waiting.length
    for (const session of this.sessions) {
      if (missing <= 0) return
      if (session.connecting) missing -= limit
      else if (reusing && session.room > 0) {
        missing -= session.room
        session.poll()
      }
    }
    for (; missing > 0 && this.sessions.length < MAX_SESSIONS; missing -= limit) {
      this.sessions.push(new Session(this, this.dialer, first.request.connectTimeout, this.now))
    }
    this.sweeper ??= setInterval(() => this.sweep(), SWEEP_INTERVAL).unref()
  }

  private sweep(): void {
    for (const session of [...this.sessions]) session.check()
    if (this.now() - this.calmSince < CALM_INTERVAL) return
    this.calmSince = this.now()
    this.streamLimit++
  }
}

/** A session that had no streams for a time may be closed already, and a fresh request must not find that out. */
function suits({ rested }: Session, { fresh }: TransportRequest): boolean {
  return !fresh || !rested
}

function hasProspects({ connecting, capacity }: Session): boolean {
  return connecting || capacity !== undefined
}
