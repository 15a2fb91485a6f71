import assert from 'node:assert/strict'
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from 'node:http2'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import type { TlsOptions } from '../plugins/balancer/index.ts'
import { Target } from '../plugins/balancer/target.ts'
import {
  type BodySink,
  type BodySource,
  Http2Transport,
  type ResponseHead,
  type TransportAttempt,
  type TransportHandler,
  type TransportRequest
} from '../plugins/proxy/transport/index.ts'
import { startRawTarget } from './helper.ts'
import { type Frame, FramePeer, PREFACE, settings } from './http2-frames-helper.ts'

/** Fields of a request or a section of trailers, as a target of Node.js shows them. */
export type SeenFields = Readonly<Record<string, string | string[] | undefined>>

export interface Http2Target {
  url: string
  server: Http2Server | Http2SecureServer
  /** Sessions that stand now, and how many there ever were. */
  sessions: Set<ServerHttp2Session>
  opened(): number
}

/**
 * A target that speaks HTTP/2: over TLS if there is a certificate, else with prior knowledge, on a free port or a unix
 * socket; closed when the test ends.
 */
export async function startHttp2Target(
  t: TestContext,
  onStream: (stream: ServerHttp2Stream, fields: SeenFields, raw: string[]) => void,
  { path, ...options }: SecureServerOptions & { path?: string } = {}
): Promise<Http2Target> {
  const secure = options.cert !== undefined
  const server = secure ? createSecureServer(options) : createServer(options)
  const sessions = new Set<ServerHttp2Session>()
  let opened = 0
  server.on('session', (session) => {
    opened++
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
    session.on('error', () => {})
  })
  server.on('stream', (stream: ServerHttp2Stream, fields: SeenFields, _flags: number, raw: string[]) => {
    stream.on('error', () => {})
    onStream(stream, fields, raw)
  })
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(path, resolve)
  })
  t.after(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const url = path === undefined ? `http${secure ? 's' : ''}://localhost:${port}` : `unix:${path}`
  return { url, server, sessions, opened: () => opened }
}

/** A target that writes frames by hand. `onFrame` is called for every frame of every connection. */
export async function startFrameTarget(
  t: TestContext,
  onFrame: (peer: FramePeer, frame: Frame) => void,
  values: Readonly<Record<number, number>> = {}
): Promise<{ url: string; peers: FramePeer[] }> {
  const peers: FramePeer[] = []
  const { url } = await startRawTarget(t, (socket) => {
    const peer = new FramePeer(socket, PREFACE.length)
    peers.push(peer)
    peer.onFrame = (frame) => onFrame(peer, frame)
    peer.send(settings(values))
  })
  return { url, peers }
}

/** A clock that can be put forward; what happens once a second then happens at once. */
export function startClock(t: TestContext): { now: () => number; pass: (milliseconds: number) => void } {
  let ahead = 0
  t.mock.timers.enable({ apis: ['setInterval'] })
  return {
    now: () => performance.now() + ahead,
    pass(milliseconds) {
      for (let left = milliseconds; left > 0; left -= 1_000) {
        const step = Math.min(left, 1_000)
        ahead += step
        t.mock.timers.tick(step)
      }
    }
  }
}

export function startTransport(
  t: TestContext,
  { tls = { verify: true }, now = () => performance.now() }: { tls?: TlsOptions; now?: () => number } = {}
): Http2Transport {
  const transport = new Http2Transport(tls, now)
  t.after(async () => {
    transport.destroy()
    // Timers that a clock has replaced have to go while it is there: numbers are given anew by the next.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  })
  return transport
}

/** A request with everything left out that a test does not speak of. */
export function requestTo(target: Target, parts: Partial<Omit<TransportRequest, 'target'>> = {}): TransportRequest {
  return {
    target,
    method: 'GET',
    path: '/',
    headers: ['host', 'target.test'],
    body: undefined,
    connectTimeout: 2_000,
    fresh: false,
    upgrade: undefined,
    expectContinue: false,
    ...parts
  }
}

/** What an attempt led to. */
export class Recorder implements TransportHandler {
  /** The calls in their order; repeated ones of the same name once. */
  readonly calls: string[] = []
  readonly informations: [status: number, headers: string[]][] = []
  readonly chunks: Buffer[] = []
  head: ResponseHead | undefined = undefined
  trailers: string[] | undefined = undefined
  error: (Error & { code?: string; cause?: unknown }) | undefined = undefined
  /** How many last calls came; one, or none when aborted. */
  ends = 0
  bytes = 0
  /** What is answered to data. */
  accepts = true
  socket: Duplex | undefined = undefined
  /** Called within each call, with its name. */
  within: ((call: string) => void) | undefined = undefined
  /** Resolves at the last call. */
  readonly over: Promise<this>
  private settle: (value: this) => void = () => {}

  constructor() {
    this.over = new Promise((resolve) => {
      this.settle = resolve
    })
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  onSent(): void {
    this.note('sent')
  }

  onRequestEnd(): void {
    this.note('request end')
  }

  onProgress(): void {
    this.note('progress')
  }

  onInformation(status: number, headers: string[]): void {
    this.note('information')
    this.informations.push([status, headers])
  }

  onHead(head: ResponseHead): void {
    this.note('head')
    this.head = head
  }

  onUpgrade(head: ResponseHead, socket: Duplex): void {
    this.note('upgrade')
    this.head = head
    this.socket = socket
    this.end()
  }

  onData(chunk: Buffer): boolean {
    this.note('data')
    this.chunks.push(chunk)
    this.bytes += chunk.length
    return this.accepts
  }

  onReadEnd(): void {
    this.note('read end')
  }

  onEnd(trailers: string[]): void {
    this.note('end')
    this.trailers = trailers
    this.end()
  }

  onError(error: Error): void {
    this.note('error')
    this.error = error
    this.end()
  }

  /** The last call was a failure of this code. */
  assertError(code: string): void {
    assert.equal(this.error?.code, code, this.error?.stack ?? `no error, status ${this.head?.status}`)
  }

  private note(call: string): void {
    if (this.calls.at(-1) !== call) this.calls.push(call)
    this.within?.(call)
  }

  private end(): void {
    this.ends++
    // Whoever waits goes on when what led to this is over: no program acts from within Node's reading of frames.
    setImmediate(() => this.settle(this))
  }
}

/** A request under way: its record, and the handle of the attempt. */
export function dispatch(
  transport: Http2Transport,
  target: Target,
  parts: Partial<Omit<TransportRequest, 'target'>> = {}
): { recorder: Recorder; attempt: TransportAttempt } {
  const recorder = new Recorder()
  const attempt = transport.dispatch(requestTo(target, parts), recorder)
  return { recorder, attempt }
}

/** A request and its whole answer. */
export async function exchange(
  transport: Http2Transport,
  target: Target,
  parts: Partial<Omit<TransportRequest, 'target'>> = {}
): Promise<Recorder> {
  return dispatch(transport, target, parts).recorder.over
}

export function targetAt(url: string): Target {
  return new Target({ url })
}

/** A body that gives its chunks as fast as they are taken, and can be started again. */
export class ChunkedBody implements BodySource {
  readonly length: number
  /** Chunks given so far. */
  given = 0
  stopped = 0
  private readonly chunks: readonly Buffer[]
  private readonly trailers: readonly string[]
  private sink: BodySink | undefined = undefined

  /** @param length as announced; the real one if left out, -1 for an unknown one */
  constructor(chunks: readonly (string | Buffer)[], length?: number, trailers: readonly string[] = []) {
    this.chunks = chunks.map((chunk) => Buffer.from(chunk))
    this.length = length ?? this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    this.trailers = trailers
  }

  start(sink: BodySink): void {
    this.sink = sink
    this.given = 0
    this.resume()
  }

  resume(): void {
    while (this.sink !== undefined) {
      const chunk = this.chunks[this.given]
      if (chunk === undefined) {
        const { sink } = this
        this.sink = undefined
        sink.endBody(this.trailers)
        return
      }
      this.given++
      if (!this.sink.writeBody(chunk)) return
    }
  }

  stop(): void {
    this.stopped++
    this.sink = undefined
  }
}
