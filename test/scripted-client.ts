import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type ClientStep, expand, isBytes } from './raw-case-types.ts'
import { finalOnly, readResponses, type SeenResponse } from './response-reader.ts'
import type { Signal } from './signal.ts'

const LIMIT = 10_000

/** A client that does what its script says, byte for byte, and keeps what it receives. */
export class ScriptedClient {
  /** One character a byte. */
  text = ''
  /** How the other side ended the connection. */
  closed: 'no' | 'end' | 'reset' = 'no'
  /** Whether the script is through. */
  done = false
  /** Methods of the requests, which say where answers end. By default the first word of each piece that is sent. */
  methods: string[] = []

  private readonly socket: Socket
  private readonly signal: Signal

  constructor(port: number, signal: Signal) {
    this.signal = signal
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (text: string) => {
      this.text += text
      signal.notify()
    })
    this.socket.on('end', () => this.onEnd('end'))
    this.socket.on('error', () => this.onEnd('reset'))
  }

  /** Responses so far, informational ones among them. */
  get responses(): SeenResponse[] {
    return readResponses(this.text, this.methods, this.closed === 'end')
  }

  /** Answers so far, without informational ones. */
  get answers(): SeenResponse[] {
    return finalOnly(this.responses)
  }

  async play(steps: readonly ClientStep[]): Promise<void> {
    if (this.socket.connecting) await once(this.socket, 'connect')
    for (const step of steps) {
      if (this.closed !== 'no') break
      if (isBytes(step)) this.send(expand(step))
      else if ('until' in step) await this.wait(() => this.text.includes(step.until))
      else if ('answers' in step) await this.wait(() => this.complete >= step.answers)
      else if ('pause' in step) await this.signal.until(() => this.closed !== 'no', step.pause)
      else if (step.leave === 'reset') this.socket.resetAndDestroy()
      else if (step.leave === 'half') this.socket.end()
      else this.socket.destroy()
    }
    this.done = true
    this.signal.notify()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private get complete(): number {
    return this.answers.filter(({ complete }) => complete).length
  }

  private send(text: string): void {
    const method = /^\s*(\S+) /.exec(text)?.[1]
    if (method !== undefined) this.methods.push(method)
    this.socket.write(text, 'latin1')
  }

  private async wait(condition: () => boolean): Promise<void> {
    await this.signal.until(() => condition() || this.closed !== 'no', LIMIT)
  }

  private onEnd(how: 'end' | 'reset'): void {
    if (this.closed === 'no') this.closed = how
    this.signal.notify()
  }
}
