import { ConnectFailedError, UnknownFunctionError, UpgradeUnsupportedError } from '../../../errors.ts'
import type { Events } from '../../../events/index.ts'
import type { Transport, TransportAttempt, TransportHandler, TransportRequest } from '../types.ts'
import { FunctionAttempt } from './function-attempt.ts'

const NOTHING_UNDER_WAY: TransportAttempt = { resume() {}, abort() {} }

/** Carries attempts to event functions of this process: targets `function:NAME`. */
export class FunctionTransport implements Transport {
  /** Undefined where the application has no functions. */
  private readonly events: () => Events | undefined

  constructor(events: () => Events | undefined) {
    this.events = events
  }

  dispatch(request: TransportRequest, handler: TransportHandler): TransportAttempt {
    const { target, upgrade } = request
    const events = this.events()
    if (events === undefined || !events.functions.has(target.hostname)) {
      handler.onError(new ConnectFailedError({ cause: new UnknownFunctionError(target.hostname) }))
      return NOTHING_UNDER_WAY
    }
    if (upgrade !== undefined) {
      handler.onError(new UpgradeUnsupportedError(upgrade))
      return NOTHING_UNDER_WAY
    }
    const attempt = new FunctionAttempt(events, request, handler)
    attempt.start()
    return attempt
  }

  destroy(): void {}
}
