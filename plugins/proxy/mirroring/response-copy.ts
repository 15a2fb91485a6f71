import type { ResponseHead } from '../transport/index.ts'

/** A response as its target sent it, with its body as far as that is within a bound. */
export class ResponseCopy {
  readonly head: ResponseHead

  private readonly limit: number
  private readonly hold: (bytes: number) => void
  private chunks: Buffer[] | undefined = []
  private bytes = 0

  /**
   * @param limit bytes of a body that is kept; of a larger one nothing is
   * @param hold told of bytes that are kept, and with a negative number of those that are not any more
   */
  constructor(head: ResponseHead, limit: number, hold: (bytes: number) => void) {
    this.head = head
    this.limit = limit
    this.hold = hold
  }

  /** The body; undefined if it was larger than is kept, or broke off. */
  get body(): Buffer | undefined {
    return this.chunks === undefined ? undefined : Buffer.concat(this.chunks)
  }

  write(chunk: Buffer): void {
    if (this.chunks === undefined) return
    if (this.bytes + chunk.length > this.limit) {
      this.drop()
      return
    }
    // The bytes themselves: hooks may change a chunk in place, and a part of a buffer keeps all of it alive.
    this.chunks.push(Buffer.from(chunk))
    this.bytes += chunk.length
    this.hold(chunk.length)
  }

  /** Lets go of the body. */
  drop(): void {
    this.chunks = undefined
    this.hold(-this.bytes)
    this.bytes = 0
  }
}
