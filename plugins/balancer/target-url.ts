import { InvalidTargetError } from '../errors.ts'

/** How a target is spoken to; `function:` and `app:` are within the process. */
export type TargetProtocol = 'http:' | 'https:' | 'function:' | 'app:'

/** The parts of a target's URL that forwarding needs. */
export interface TargetAddress {
  readonly protocol: TargetProtocol
  /** Name or IP address, IPv6 without brackets; `localhost` for a unix socket; the name of a function or an app. */
  readonly hostname: string
  readonly port: number
  readonly socketPath: string | undefined
  /** `host[:port]` as in a Host header: IPv6 in brackets, the protocol's default port left out. */
  readonly authority: string
}

const HTTP_URL = /^https?:\/\/[^\s/?#\\@]+$/i
const UNIX_URL = /^unix:(\/[^\0]+)$/
const IN_PROCESS_URL = /^(function|app):([A-Za-z_][\w.-]{0,127})$/
const FORMS = 'expected http://host[:port], https://host[:port], unix:/path, function:NAME or app:NAME'

/**
 * Reads `http://host[:port]`, `https://host[:port]`, `unix:/path/to.sock` (plain HTTP over a unix socket),
 * `function:NAME` (an event function) or `app:NAME` (another application in this process).
 * @throws InvalidTargetError
 */
export function parseTargetUrl(url: string): TargetAddress {
  const socketPath = UNIX_URL.exec(url)?.[1]
  if (socketPath !== undefined) {
    return { protocol: 'http:', hostname: 'localhost', port: 80, socketPath, authority: 'localhost' }
  }
  const [, kind, name] = IN_PROCESS_URL.exec(url) ?? []
  if (name !== undefined) {
    const protocol = kind === 'app' ? 'app:' : 'function:'
    return { protocol, hostname: name, port: 0, socketPath: undefined, authority: name }
  }

  const parsed = HTTP_URL.test(url) ? tryUrl(url) : undefined
  if (parsed === undefined) {
    throw new InvalidTargetError(url, FORMS)
  }
  const protocol = parsed.protocol === 'https:' ? 'https:' : 'http:'
  const port = parsed.port === '' ? defaultPort(protocol) : Number(parsed.port)
  if (port === 0) throw new InvalidTargetError(url, 'port 0 cannot be connected to')

  const hostname = parsed.hostname.replace(/^\[|\]$/g, '')
  return { protocol, hostname, port, socketPath: undefined, authority: parsed.host }
}

/** A target's URL as it is kept and compared: as written, without a slash at the end. */
export function trimTargetUrl(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url
}

/** `host:port`, the port always given and IPv6 in brackets, or the path of a unix socket: the address as Envoy hashes it. */
export function hostOf({ protocol, hostname, port, socketPath }: TargetAddress): string {
  if (port === 0) return `${protocol}${hostname}`
  return socketPath ?? `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
}

function tryUrl(url: string): URL | undefined {
  return URL.canParse(url) ? new URL(url) : undefined
}

function defaultPort(protocol: 'http:' | 'https:'): number {
  return protocol === 'https:' ? 443 : 80
}
