/** How a failed invocation is told, as Function Compute tells it. */
export interface ErrorBody {
  readonly errorMessage: string
  readonly errorType: string
  readonly stackTrace?: readonly string[]
}

const INTERNAL: ErrorBody = { errorMessage: 'The function failed', errorType: 'InternalError' }
/** What the gateway itself says of functions, and may be said to anybody. */
const OPEN_CODES = new Set(['FST_GATEWAY_FUNCTION_TIMEOUT', 'FST_GATEWAY_MALFORMED_RESULT'])
const CODE_PREFIX = 'FST_GATEWAY_'

/** The status of a failure: its own where it has one from 400 to 599, as errors of HTTP libraries do; else 500. */
export function statusOf(error: unknown): number {
  const status = propertyOf(error, 'statusCode')
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599 ? status : 500
}

/**
 * What the sender is told. Faults of its own it is told in full. Of the function's faults it is told nothing that the
 * function itself has said, unless `exposed`.
 */
export function errorBodyOf(error: unknown, exposed: boolean): ErrorBody {
  if (!exposed && statusOf(error) >= 500 && !OPEN_CODES.has(String(propertyOf(error, 'code')))) return INTERNAL
  const body = { errorMessage: messageOf(error), errorType: typeOf(error) }
  const stack = exposed && error instanceof Error ? error.stack : undefined
  return stack === undefined ? body : { ...body, stackTrace: stack.split('\n').map((line) => line.trim()) }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The class of an error; those of the gateway are called after their codes. */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const code = propertyOf(error, 'code')
  if (typeof code !== 'string' || !code.startsWith(CODE_PREFIX)) return error.name
  if (code === 'FST_GATEWAY_INVALID_EVENT') return 'ValidationError'
  const words = code.slice(CODE_PREFIX.length).split('_')
  return words.map((word) => word.charAt(0) + word.slice(1).toLowerCase()).join('')
}

function propertyOf(error: unknown, name: string): unknown {
  return error instanceof Error ? Reflect.get(error, name) : undefined
}
