import { createServer, type Server, type Socket } from 'node:net'
import { portOf } from './helper.ts'
import { expand, isBytes, type TargetScript, type TargetStep } from './raw-case-types.ts'
import type { Signal } from './signal.ts'
import { type SeenRequest, StrictRequestReader } from './strict-request-reader.ts'

const LIMIT = 10_000
/** Asked for after a case; answered with 200, and not part of what the case sees. */
export const PROBE_TARGET = '/alive'
const OK: readonly TargetStep[] = ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok']

/** What the target does while a case runs, and what it sees. */
export class TargetSession {
  /** Everything received, one character a byte. */
  text = ''
  connections = 0
  /** Whether a connection was closed before its script was through. */
  aborted = false
  /** The case is over: whatever the script says, connections are taken. */
  over = false
  readonly requests: SeenRequest[] = []
  /** What a second parser might have read in another way. */
  readonly faults: string[] = []

  readonly script: TargetScript
  readonly signal: Signal
  private readonly received: () => string

  constructor(script: TargetScript, signal: Signal, received: () => string) {
    this.script = script
    this.signal = signal
    this.received = received
  }

  /** Plays the answer to the latest request. */
  async play(socket: Socket): Promise<void> {
    const { answers = [OK] } = this.script
    for (const step of answers[Math.min(this.requests.length, answers.length) - 1] ?? OK) {
      if (socket.destroyed) break
      if (isBytes(step)) socket.write(expand(step), 'latin1')
      else if ('until' in step) await this.wait(socket, () => this.received().includes(step.until))
      else if ('pause' in step) await this.wait(socket, () => false, step.pause)
      else if (step.then === 'close') socket.end()
      else socket.resetAndDestroy()
    }
  }

  private async wait(socket: Socket, condition: () => boolean, limit = LIMIT): Promise<void> {
    await this.signal.until(() => condition() || socket.destroyed, limit)
  }
}

/** A target that plays the session of the case at hand, and reads strictly what it gets. */
export class ScriptedTarget {
  session: TargetSession

  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  constructor(session: TargetSession) {
    this.session = session
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.onConnection(socket))
  }

  get port(): number {
    return portOf(this.server)
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
  }

  /** Connections kept by the gateway are not for the next case. */
  disconnect(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  close(): void {
    this.disconnect()
    this.server.close()
  }

  private onConnection(socket: Socket): void {
    const { session } = this
    const { script, signal } = session
    session.connections++
    this.sockets.add(socket)
    socket.on('error', () => {})
    if (script.refuses === true && !session.over) socket.destroy()
    let playing = 0
    let tunnel = false
    const answer = async ({ target }: SeenRequest) => {
      if (target === PROBE_TARGET) {
        socket.write(OK.join(''), 'latin1')
        return
      }
      playing++
      await session.play(socket)
      playing--
      signal.notify()
    }
    const reader = new StrictRequestReader({
      onHead: (request) => {
        if (request.target !== PROBE_TARGET) session.requests.push(request)
        tunnel = script.echo === true
        if (script.early === true) void answer(request)
      },
      onRequest: (request) => {
        if (script.early !== true) void answer(request)
      }
    })
    socket.on('data', (chunk) => {
      session.text += chunk.toString('latin1')
      if (!tunnel) reader.push(chunk)
      else socket.write(`echo:${chunk.toString('latin1')}`, 'latin1')
      session.faults.push(...reader.faults.splice(0))
      signal.notify()
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.sockets.delete(socket)
      if (playing > 0) session.aborted = true
      signal.notify()
    })
  }
}
