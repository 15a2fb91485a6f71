/** Which platform's form an event has. `alb-multi` is ALB with multi-value headers enabled. */
export type EventFormat = 'function-compute' | 'lambda-v1' | 'lambda-v2' | 'alb' | 'alb-multi'

/** A request, as it was before its platform put it into an event. */
export interface PlatformRequest {
  readonly format: EventFormat
  readonly method: string
  /** Path and query as on a request line. */
  readonly url: string
  /** Flat pairs, names in lower case. */
  readonly headers: readonly string[]
  readonly body: Buffer
  /** The client's address, as the platform tells it. */
  readonly sourceIp: string | undefined
  readonly requestId: string | undefined
}

/** A response, as the application gave it. */
export interface PlatformResponse {
  readonly status: number
  readonly reason: string
  /** Flat pairs as on the wire. */
  readonly headers: readonly string[]
  readonly body: Buffer
}

/** The result of a function that was called with HTTP. */
export interface PlatformResult {
  statusCode: number
  statusDescription?: string
  headers?: Record<string, string>
  multiValueHeaders?: Record<string, string[]>
  cookies?: string[]
  body: string
  isBase64Encoded: boolean
}
