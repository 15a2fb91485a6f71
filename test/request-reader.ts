/** Told what is read; bodies without their framing. */
export interface ReaderEvents {
  onHead(head: string): void
  onBody(chunk: Buffer): void
  onEnd(): void
}

const HEAD_END = Buffer.from('\r\n\r\n')

/** Reads requests one after the other, as a target that trusts the gateway to frame them well; what is odd, it throws at. */
export class RequestReader {
  private readonly events: ReaderEvents
  private held: Buffer = Buffer.alloc(0)
  private state: 'head' | 'counted' | 'size' | 'chunk' | 'chunk end' | 'trailers' = 'head'
  private left = 0

  constructor(events: ReaderEvents) {
    this.events = events
  }

  push(chunk: Buffer): void {
    this.held = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk])
    while (this.held.length > 0 && this.step());
  }

  /** False when more is needed. */
  private step(): boolean {
    switch (this.state) {
      case 'head':
        return this.readHead()
      case 'counted':
      case 'chunk':
        return this.readBody()
      default:
        return this.readLine()
    }
  }

  private readHead(): boolean {
    const end = this.held.indexOf(HEAD_END)
    if (end < 0) return false
    const head = this.take(end + 4).toString('latin1', 0, end)
    if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(head)) throw new Error(`no request: ${head}`)
    const length = /^content-length: (\d+)$/im.exec(head)?.[1]
    this.left = Number(length ?? 0)
    this.state = /^transfer-encoding: chunked$/im.test(head) ? 'size' : 'counted'
    this.events.onHead(head)
    if (this.state === 'counted' && this.left === 0) this.end()
    return true
  }

  private readBody(): boolean {
    const chunk = this.take(Math.min(this.left, this.held.length))
    this.left -= chunk.length
    this.events.onBody(chunk)
    if (this.left > 0) return false
    if (this.state === 'counted') this.end()
    else this.state = 'chunk end'
    return true
  }

  private readLine(): boolean {
    const end = this.held.indexOf('\r\n')
    if (end < 0) return false
    const line = this.take(end + 2).toString('latin1', 0, end)
    if (this.state === 'trailers') {
      if (line === '') this.end()
    } else if (this.state === 'chunk end') {
      if (line !== '') throw new Error(`no end of a chunk: ${line}`)
      this.state = 'size'
    } else {
      if (!/^[\da-f]+$/i.test(line)) throw new Error(`no size of a chunk: ${line}`)
      this.left = Number.parseInt(line, 16)
      this.state = this.left === 0 ? 'trailers' : 'chunk'
    }
    return true
  }

  private end(): void {
    this.state = 'head'
    this.events.onEnd()
  }

  private take(length: number): Buffer {
    const taken = this.held.subarray(0, length)
    this.held = this.held.subarray(length)
    return taken
  }
}
