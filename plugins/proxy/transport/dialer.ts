import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { Target } from '../../balancer/index.ts'

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

/** Opens connections to one target, and keeps what makes the next TLS handshake shorter. */
export class Dialer {
  /** The event that says that the connection stands. */
  readonly connectEvent: 'connect' | 'secureConnect'

  private readonly target: Target
  private readonly tls: TlsOptions
  /** The only protocol offered in the TLS handshake (ALPN, RFC 7301). */
  private readonly protocol: 'http/1.1' | 'h2'
  private session: Buffer | undefined = undefined

  constructor(target: Target, tls: TlsOptions, protocol: 'http/1.1' | 'h2') {
    this.connectEvent = target.protocol === 'https:' ? 'secureConnect' : 'connect'
    this.target = target
    this.tls = tls
    this.protocol = protocol
  }

  open(): Socket {
    return this.connectEvent === 'secureConnect' ? this.openTls() : this.openTcp()
  }

  private openTcp(): Socket {
    const { socketPath, hostname, port } = this.target
    if (socketPath !== undefined) return connectTcp({ path: socketPath })
    return connectTcp({ host: hostname, port, keepAlive: true })
  }

  private openTls(): Socket {
    const { hostname, port } = this.target
    const { verify, ca, cert, key, servername = isIP(hostname) === 0 ? hostname : undefined } = this.tls
    const options: ConnectionOptions = { host: hostname, port, rejectUnauthorized: verify }
    options.ALPNProtocols = [this.protocol]
    if (ca !== undefined) options.ca = ca
    if (cert !== undefined) options.cert = cert
    if (key !== undefined) options.key = key
    if (servername !== undefined) options.servername = servername
    if (this.session !== undefined) options.session = this.session
    const socket = connectTls(options)
    socket.on('session', (session) => {
      this.session = session
    })
    return socket
  }
}
