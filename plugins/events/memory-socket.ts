import { Duplex } from 'node:stream'

/** What the accepting end of a connection says of its peer. */
export interface PeerFacts {
  readonly remoteAddress?: string | undefined
  /** Whether the peer came by TLS, as far as anybody asks. */
  readonly encrypted?: boolean | undefined
}

/**
 * One end of a connection that never leaves the process. It behaves as a TCP socket does: `destroy()` lets the other end
 * read what was written, and then end; what is written to an end that is gone is an error.
 */
export class MemorySocket extends Duplex {
  readonly remoteAddress: string | undefined
  readonly encrypted: boolean
  bytesRead = 0
  bytesWritten = 0

  #peer: MemorySocket | undefined = undefined
  /** Called once the peer reads on. */
  #whenRead: (() => void) | undefined = undefined

  /** The connecting end emits `connect` in the next turn. */
  static connect(facts: PeerFacts = {}): { client: MemorySocket; server: MemorySocket } {
    const [client, server] = [new MemorySocket({}), new MemorySocket(facts)]
    client.#peer = server
    server.#peer = client
    process.nextTick(() => client.emit('connect'))
    return { client, server }
  }

  private constructor({ remoteAddress, encrypted = false }: PeerFacts) {
    super({ allowHalfOpen: true })
    this.remoteAddress = remoteAddress
    this.encrypted = encrypted
  }

  setNoDelay(): this {
    return this
  }

  override _read(): void {
    const peer = this.#peer
    if (peer === undefined) return
    const whenRead = peer.#whenRead
    if (whenRead === undefined) return
    peer.#whenRead = undefined
    process.nextTick(whenRead)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const peer = this.#peer
    if (peer === undefined || peer.destroyed) {
      done(failure('EPIPE', 'write'))
      return
    }
    this.bytesWritten += chunk.length
    peer.bytesRead += chunk.length
    if (peer.push(chunk)) process.nextTick(done)
    else this.#whenRead = done
  }

  override _final(done: () => void): void {
    this.#endPeer()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#endPeer()
    this._read()
    this.#peer = undefined
    done(error)
  }

  #endPeer(): void {
    const peer = this.#peer
    if (peer !== undefined && !peer.destroyed && !peer.readableEnded) peer.push(null)
  }
}

function failure(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
}
