/** No more than this of an answer is read; an answer that is longer is judged by what has come. */
const MOST = 1024 * 1024

/** The beginning of an answer's content. */
export class Content {
  readonly #limit: number
  readonly #chunks: Buffer[] = []
  #kept = 0
  #read = 0

  /** @param limit bytes that are kept */
  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  /** False when no more should be read. */
  add(chunk: Buffer): boolean {
    this.#read += chunk.length
    const part = chunk.subarray(0, this.#limit - this.#kept)
    if (part.length > 0) this.#chunks.push(part)
    this.#kept += part.length
    return this.#read < MOST
  }
}
