import createError from '@fastify/error'

/** No route of the gateway matches the request. Args: method, path. */
export const NoRouteError = createError<[string, string]>('FST_GATEWAY_NO_ROUTE', 'No route for %s %s', 404)

/** The request target is not one that can be forwarded unchanged and safely. Args: what is wrong with it. */
export const BadPathError = createError<[string]>('FST_GATEWAY_BAD_PATH', 'Bad request target: %s', 400)

/** The Host header is missing, repeated or malformed, or contradicts the request target. Args: what is wrong with it. */
export const BadHostError = createError<[string]>('FST_GATEWAY_BAD_HOST', 'Bad Host header: %s', 400)

/** The framing of the request body is ambiguous or broken. Args: what is wrong with it. */
export const BadFramingError = createError<[string]>('FST_GATEWAY_BAD_FRAMING', 'Bad request framing: %s', 400)

/** What a client sent is not an HTTP request. Args: what is wrong with it. */
export const BadRequestError = createError<[string]>('FST_GATEWAY_BAD_REQUEST', 'Malformed request: %s', 400)

/** The client did not send its request within the time it has for that. */
export const RequestTimeoutError = createError('FST_GATEWAY_REQUEST_TIMEOUT', 'The request did not arrive in time', 408)

/** Request line and headers are larger than the server takes. */
export const HeadTooLargeError = createError('FST_GATEWAY_HEAD_TOO_LARGE', 'The head of the request is too large', 431)

/** A chunked body comes with more extensions than bytes of content could need. */
export const ChunkExtensionsTooLargeError = createError(
  'FST_GATEWAY_CHUNK_EXTENSIONS_TOO_LARGE',
  'The chunk extensions of the request are too large',
  413
)

/** The client expects something else than `100-continue`. */
export const ExpectationFailedError = createError(
  'FST_GATEWAY_EXPECTATION_FAILED',
  'Only 100-continue can be expected',
  417
)

/** The method is not one that Node.js can read. Args: method. */
export const MethodNotImplementedError = createError<[string]>(
  'FST_GATEWAY_METHOD_NOT_IMPLEMENTED',
  'Method %s is not implemented',
  501
)

/** The request names a version of HTTP that the connection does not speak. */
export const VersionNotSupportedError = createError(
  'FST_GATEWAY_VERSION_NOT_SUPPORTED',
  'This version of HTTP is not supported here',
  505
)

/** The request body is larger than `server.bodyLimit`. Args: the limit in bytes. */
export const BodyTooLargeError = createError<[number]>(
  'FST_GATEWAY_BODY_TOO_LARGE',
  'Request body is larger than %d bytes',
  413
)

/** No target of the upstream may be tried now: all are down, failed, full or already tried. Args: upstream. */
export const NoTargetError = createError<[string]>(
  'FST_GATEWAY_NO_TARGET',
  "Upstream '%s' has no target available",
  503
)

/** The circuit breaker of the upstream is open, or lets only a part of the requests through as it recovers. Args: upstream. */
export const CircuitOpenError = createError<[string]>(
  'FST_GATEWAY_CIRCUIT_OPEN',
  "The circuit breaker of upstream '%s' is open",
  503
)

/** All targets of the upstream are at `maxConnections`, and as many requests wait as may. Args: upstream. */
export const QueueFullError = createError<[string]>('FST_GATEWAY_QUEUE_FULL', "The queue of upstream '%s' is full", 503)

/** The request waited for `queue.timeout` and no target of the upstream had room. Args: upstream. */
export const QueueTimeoutError = createError<[string]>(
  'FST_GATEWAY_QUEUE_TIMEOUT',
  "No target of upstream '%s' had room in time",
  503
)

/** A failed attempt would be tried again, but `retry.budget` is spent. Args: upstream. */
export const RetryBudgetError = createError<[string, { cause: Error }]>(
  'FST_GATEWAY_RETRY_BUDGET',
  "The retry budget of upstream '%s' is spent",
  503
)

/** The gateway closes, and begins no tunnel any more. */
export const ClosingError = createError('FST_GATEWAY_CLOSING', 'The gateway is closing', 503)

/** No connection to the target: refused, unreachable, unresolved name, failed TLS handshake. */
export const ConnectFailedError = createError('FST_GATEWAY_CONNECT_FAILED', 'The target could not be reached', 502)

/** The target closed or reset the connection before its response was complete. */
export const TargetClosedError = createError(
  'FST_GATEWAY_TARGET_CLOSED',
  'The target closed the connection before it had answered',
  502
)

/** The target cannot switch protocols, since it is spoken to in HTTP/2. Args: the protocols asked for. */
export const UpgradeUnsupportedError = createError<[string]>(
  'FST_GATEWAY_UPGRADE_UNSUPPORTED',
  'Upgrade to %s is not supported here',
  501
)

/** The target's response is not HTTP that can be forwarded safely. Args: what is wrong with it. */
export const BadResponseError = createError<[string]>(
  'FST_GATEWAY_BAD_RESPONSE',
  'The target sent a malformed response: %s',
  502
)

/** `timeouts.connect` ran out. Args: the limit in milliseconds. */
export const ConnectTimeoutError = createError<[number]>(
  'FST_GATEWAY_CONNECT_TIMEOUT',
  'The target could not be reached within %d ms',
  504
)

/** `timeouts.response` ran out before the head of the response arrived. Args: the limit in milliseconds. */
export const ResponseTimeoutError = createError<[number]>(
  'FST_GATEWAY_RESPONSE_TIMEOUT',
  'The target did not answer within %d ms',
  504
)

/** `timeouts.idle` ran out: no byte moved in either direction. Args: the limit in milliseconds. */
export const IdleTimeoutError = createError<[number]>(
  'FST_GATEWAY_IDLE_TIMEOUT',
  'The exchange was idle for %d ms',
  504
)

/** `timeouts.total` ran out over all attempts. Args: the limit in milliseconds. */
export const TotalTimeoutError = createError<[number]>(
  'FST_GATEWAY_TOTAL_TIMEOUT',
  'The exchange took longer than %d ms',
  504
)

/** The client left before the exchange was complete. Never sent; it is what the log and waiting layers see. */
export const ClientClosedError = createError('FST_GATEWAY_CLIENT_CLOSED', 'The client closed the connection', 499)

/** The configuration has faults; all of them are listed. Args: the list, one fault a line. */
export const InvalidConfigError = createError<[string]>('FST_GATEWAY_INVALID_CONFIG', 'Invalid configuration\n%s', 500)

/** The configuration file cannot be read. Args: path, reason. */
export const UnreadableConfigError = createError<[string, string]>(
  'FST_GATEWAY_UNREADABLE_CONFIG',
  "Cannot read configuration file '%s': %s",
  500
)

/** No strategy has that name. Args: name, known names. */
export const UnknownStrategyError = createError<[string, string]>(
  'FST_GATEWAY_UNKNOWN_STRATEGY',
  "Unknown balancing strategy '%s'. Expected one of: %s",
  500
)

/** A strategy of that name exists already. Args: name. */
export const DuplicateStrategyError = createError<[string]>(
  'FST_GATEWAY_DUPLICATE_STRATEGY',
  "Balancing strategy '%s' is already added",
  500
)

/** A strategy does not have the shape of one. Args: name, what is missing. */
export const InvalidStrategyError = createError<[string, string]>(
  'FST_GATEWAY_INVALID_STRATEGY',
  "Balancing strategy '%s' is invalid: %s",
  500
)

/** No upstream has that name. Args: name, known names. */
export const UnknownUpstreamError = createError<[string, string]>(
  'FST_GATEWAY_UNKNOWN_UPSTREAM',
  "Unknown upstream '%s'. Expected one of: %s",
  500
)

/** An upstream of that name exists already in this scope. Args: name. */
export const DuplicateUpstreamError = createError<[string]>(
  'FST_GATEWAY_DUPLICATE_UPSTREAM',
  "Upstream '%s' is already defined in this scope",
  500
)

/** A target with that URL is already in the upstream. Args: URL, upstream. */
export const DuplicateTargetError = createError<[string, string]>(
  'FST_GATEWAY_DUPLICATE_TARGET',
  "Target '%s' is already in upstream '%s'",
  500
)

/** A target or its options cannot be used. Args: URL, reason. */
export const InvalidTargetError = createError<[string, string]>(
  'FST_GATEWAY_INVALID_TARGET',
  "Target '%s' is invalid: %s",
  500
)

/** A name was looked up in vain: a server fails, or its answer cannot be read. For the log. Args: what is wrong. */
export const LookupError = createError<[string]>('FST_GATEWAY_LOOKUP', 'DNS lookup failed: %s', 500)

/** DNS knows no targets by that name. For the log. Args: name. */
export const NoRecordsError = createError<[string]>('FST_GATEWAY_NO_RECORDS', "DNS has no records for '%s'", 500)

/** No layer has that name. Args: name, known names. */
export const UnknownMiddlewareError = createError<[string, string]>(
  'FST_GATEWAY_UNKNOWN_MIDDLEWARE',
  "Unknown middleware '%s'. Expected one of: %s",
  500
)

/** A layer of that name exists already. Args: name. */
export const DuplicateMiddlewareError = createError<[string]>(
  'FST_GATEWAY_DUPLICATE_MIDDLEWARE',
  "Middleware '%s' is already added",
  500
)

/** A layer is neither a function nor a named pair of hooks. Args: reason. */
export const InvalidMiddlewareError = createError<[string]>(
  'FST_GATEWAY_INVALID_MIDDLEWARE',
  'Invalid middleware: %s',
  500
)

/** A layer called `next()` more than once. */
export const NextCalledTwiceError = createError(
  'FST_GATEWAY_NEXT_CALLED_TWICE',
  'A middleware called next() more than once',
  500
)

/** A layer returned without calling `next()` and without answering. */
export const NotAnsweredError = createError(
  'FST_GATEWAY_NOT_ANSWERED',
  'A middleware neither called next() nor answered the request',
  500
)

/** A layer called `next()` although the request was answered already. */
export const NextAfterAnswerError = createError(
  'FST_GATEWAY_NEXT_AFTER_ANSWER',
  'A middleware called next() after the request was answered',
  500
)

/** A layer threw something that is not an Error; the value is the cause. */
export const MiddlewareThrewError = createError(
  'FST_GATEWAY_MIDDLEWARE_THREW',
  'A middleware threw a value that is not an Error',
  500
)

/** A route cannot be compiled, or no request can ever match it. Args: route, reason. */
export const InvalidRouteError = createError<[string, string]>(
  'FST_GATEWAY_INVALID_ROUTE',
  "Route '%s' is invalid: %s",
  500
)

/** Layers are put into use for routes that do not exist. Args: ids, known ids. */
export const UnknownRouteError = createError<[string, string]>(
  'FST_GATEWAY_UNKNOWN_ROUTE',
  "Layers are in use for unknown routes '%s'. Expected one of: %s",
  500
)

/** The method is never forwarded. Args: method. */
export const MethodNotAllowedError = createError<[string]>(
  'FST_GATEWAY_METHOD_NOT_ALLOWED',
  'Method %s is not allowed',
  405
)

/** What is given as an event function, or its name or options, cannot be one. Args: reason. */
export const InvalidFunctionError = createError<[string]>(
  'FST_GATEWAY_INVALID_FUNCTION',
  'Invalid event function: %s',
  500
)

/** A function or an app of that name exists already. Args: name. */
export const DuplicateFunctionError = createError<[string]>(
  'FST_GATEWAY_DUPLICATE_FUNCTION',
  "Event function '%s' is already defined",
  500
)

/** No event function has that name. Args: name. */
export const UnknownFunctionError = createError<[string]>(
  'FST_GATEWAY_UNKNOWN_FUNCTION',
  "There is no event function '%s'",
  404
)

/** An event is not JSON in UTF-8. Args: what is wrong with it. */
export const InvalidJsonError = createError<[string]>('FST_GATEWAY_INVALID_JSON', 'The event is not JSON: %s', 400)

/** An event does not fit the schema of its function. Args: the fields, and what was expected of them. */
export const InvalidEventError = createError<[string]>('FST_GATEWAY_INVALID_EVENT', 'The event does not fit: %s', 400)

/** An event comes with a content type that is not JSON. */
export const UnsupportedContentTypeError = createError(
  'FST_GATEWAY_UNSUPPORTED_CONTENT_TYPE',
  'Events are JSON: application/json or application/octet-stream',
  415
)

/** An event is larger than functions take. Args: the limit in bytes. */
export const EventTooLargeError = createError<[number]>(
  'FST_GATEWAY_EVENT_TOO_LARGE',
  'The event is larger than %d bytes',
  413
)

/** As many handlers of the function are at work as may be. Args: function. */
export const TooManyInvocationsError = createError<[string]>(
  'FST_GATEWAY_TOO_MANY_INVOCATIONS',
  "Event function '%s' has too much to do",
  429
)

/** A function did not return in time. Args: function, the limit in milliseconds. */
export const FunctionTimeoutError = createError<[string, number]>(
  'FST_GATEWAY_FUNCTION_TIMEOUT',
  "Event function '%s' did not return within %d ms",
  504
)

/** A function returned what its schema does not allow, or what JSON cannot say. Args: the fields, and why. */
export const InvalidResultError = createError<[string]>(
  'FST_GATEWAY_INVALID_RESULT',
  'The result of the function does not fit: %s',
  500
)

/** A function of mode `http` returned what is no response. Args: reason. */
export const MalformedResultError = createError<[string]>(
  'FST_GATEWAY_MALFORMED_RESULT',
  'The result of the function is no response: %s',
  502
)

/** An event of a platform has none of the forms that are known. */
export const UnsupportedEventError = createError(
  'FST_GATEWAY_UNSUPPORTED_EVENT',
  'The event is none of HTTP in a form that is known',
  400
)

/** A client of the diagnostics is not on this machine. */
export const DiagnosticsForbiddenError = createError(
  'FST_GATEWAY_DIAGNOSTICS_FORBIDDEN',
  'Diagnostics are for clients on this machine',
  403
)

/** A client of the diagnostics does not show the token. */
export const DiagnosticsUnauthorizedError = createError(
  'FST_GATEWAY_DIAGNOSTICS_UNAUTHORIZED',
  'Diagnostics need the bearer token',
  401
)

/** The diagnostics have no such thing to do. Args: what is wrong with the request. */
export const DiagnosticsRequestError = createError<[string]>(
  'FST_GATEWAY_DIAGNOSTICS_REQUEST',
  'Bad request for diagnostics: %s',
  400
)

/** There is no artifact of that name. */
export const DiagnosticsNotFoundError = createError('FST_GATEWAY_DIAGNOSTICS_NOT_FOUND', 'No such artifact', 404)

/** Another artifact is being taken. */
export const DiagnosticsBusyError = createError('FST_GATEWAY_DIAGNOSTICS_BUSY', 'Another artifact is being taken', 409)

/** The last artifact was taken less than `diagnostics.minInterval` ago. Args: milliseconds to wait. */
export const DiagnosticsIntervalError = createError<[number]>(
  'FST_GATEWAY_DIAGNOSTICS_INTERVAL',
  'The next artifact can be taken in %d ms',
  429
)

/** A snapshot of the heap would stop the process for too long. Args: bytes in use, the limit. */
export const DiagnosticsHeapError = createError<[number, number]>(
  'FST_GATEWAY_DIAGNOSTICS_HEAP',
  'The heap has %d bytes in use, more than the %d of which a snapshot is taken',
  409
)

/** There is less free space on the disk than `diagnostics.minFree`. Args: free bytes, the limit. */
export const DiagnosticsDiskError = createError<[number, number]>(
  'FST_GATEWAY_DIAGNOSTICS_DISK',
  'The disk has %d bytes free, fewer than the %d that must stay',
  507
)

/** The main thread does not react, since it is within native code. Args: milliseconds it was given. */
export const DiagnosticsTimeoutError = createError<[number]>(
  'FST_GATEWAY_DIAGNOSTICS_TIMEOUT',
  'The main thread did not react within %d ms',
  504
)

/** The diagnostics cannot start. Args: reason. */
export const DiagnosticsUnavailableError = createError<[string]>(
  'FST_GATEWAY_DIAGNOSTICS_UNAVAILABLE',
  'Diagnostics cannot start: %s',
  500
)
