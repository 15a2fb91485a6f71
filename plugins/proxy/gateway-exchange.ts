import { Exchange } from '../middleware/index.ts'
import type { Forwarding } from './forwarding/forwarding.ts'
import type { MirroredExchange } from './mirroring/mirrored-exchange.ts'
import type { RequestTarget } from './routing/path.ts'
import type { Route } from './routing/route.ts'
import type { PendingUpgrade } from './upgrade/listener.ts'

/** An exchange on one of the gateway's routes. */
export class GatewayExchange extends Exchange {
  /** The route that matched. */
  matched: Route | undefined = undefined
  /** The request target, taken apart. */
  requestTarget: RequestTarget | undefined = undefined
  /** The host the client asked for, as it wrote it. */
  host = ''
  /** What the request asks to switch to; undefined for an ordinary one. */
  upgrade: PendingUpgrade | undefined = undefined
  forwarding: Forwarding | undefined = undefined
  /** Cookie by which the client is to be known to a sticky split from now on. */
  splitCookie: string | undefined = undefined
  /** Set when mirrors get copies of it. */
  mirrored: MirroredExchange | undefined = undefined
}
