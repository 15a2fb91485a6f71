import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'

/** How TLS to the targets of an upstream is done. PEM texts. */
export interface TlsOptions {
  /** Refuse targets whose certificate is not valid for their name. @default true */
  readonly verify: boolean
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Name asked for and verified. @default the target's host name */
  readonly servername?: string | undefined
}

/** What to connect with. The only protocol that is offered in the handshake is the one given (ALPN, RFC 7301). */
export function tlsConnection(
  { hostname, port }: { readonly hostname: string; readonly port: number },
  tls: TlsOptions,
  protocol: 'http/1.1' | 'h2'
): ConnectionOptions {
  const { verify, ca, cert, key, servername = isIP(hostname) === 0 ? hostname : undefined } = tls
  const options: ConnectionOptions = { host: hostname, port, rejectUnauthorized: verify, ALPNProtocols: [protocol] }
  if (ca !== undefined) options.ca = ca
  if (cert !== undefined) options.cert = cert
  if (key !== undefined) options.key = key
  if (servername !== undefined) options.servername = servername
  return options
}
