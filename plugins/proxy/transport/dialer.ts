import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Target, type TlsOptions, tlsConnection } from '../../balancer/index.ts'

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
    const options = tlsConnection(this.target, this.tls, this.protocol)
    if (this.session !== undefined) options.session = this.session
    const socket = connectTls(options)
    socket.on('session', (session) => {
      this.session = session
    })
    return socket
  }
}
