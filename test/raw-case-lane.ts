import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../app.ts'
import { portOf } from './helper.ts'
import type { ClientStep, GatewayKind, RawCase, TargetScript } from './raw-case-types.ts'
import { isOutcome, type Observation } from './raw-case-verdict.ts'
import { headFaults } from './response-reader.ts'
import { ScriptedClient } from './scripted-client.ts'
import { PROBE_TARGET, ScriptedTarget, TargetSession } from './scripted-target.ts'
import { Signal } from './signal.ts'

/** Milliseconds for all that must happen in a case, and for all that must not. */
const LIMIT = 20_000
const QUIET = 150
const PROBE = `GET ${PROBE_TARGET} HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n`

export interface CaseResult {
  readonly seen: Observation
  /** What must never be, whatever the case: malformed bytes at either end, a gateway that does not answer any more. */
  readonly broken: readonly string[]
}

/** One stand-alone gateway with one scripted target behind it; runs one case at a time. */
export class Lane {
  private readonly app: FastifyInstance
  private readonly target: ScriptedTarget

  private constructor(app: FastifyInstance, target: ScriptedTarget) {
    this.app = app
    this.target = target
  }

  /** @param prepare is given the app before it is ready */
  static async start(kind: GatewayKind, prepare: (app: FastifyInstance) => void = () => {}): Promise<Lane> {
    const target = new ScriptedTarget(new TargetSession({}, new Signal(), () => ''))
    await target.listen()
    const folder = mkdtempSync(join(tmpdir(), 'raw-case-'))
    const file = join(folder, 'gateway.json')
    writeFileSync(file, JSON.stringify(configOf(kind, `http://127.0.0.1:${target.port}`)))
    const { app } = await buildApp({ GATEWAY_CONFIG: file, GATEWAY_LOG_LEVEL: 'silent' })
    rmSync(folder, { recursive: true })
    prepare(app)
    await app.listen({ host: '127.0.0.1', port: 0 })
    return new Lane(app, target)
  }

  async run(one: RawCase): Promise<CaseResult> {
    const { send, target = {}, outcome } = one
    return this.play(send, target, async (observe, { client, signal }) => {
      const met = () => client.done && isOutcome(observe(), one)
      await signal.until(met, LIMIT)
      if (outcome === 'nothing') await signal.until(() => !met(), QUIET)
    })
  }

  /**
   * Sends bytes of which nobody knows what comes of them, until the gateway closes, or nothing more happens for `quiet`
   * milliseconds. `methods` are those of the requests in it.
   */
  async feed(bytes: string, methods: readonly string[], quiet: number): Promise<CaseResult> {
    return this.play([bytes], {}, async (observe, { client, signal }) => {
      client.methods = [...methods]
      const size = () => observe().clientText.length + observe().targetText.length
      for (let before = -1; client.closed === 'no' && before !== size(); ) {
        before = size()
        await signal.until(() => client.closed !== 'no', quiet)
      }
    })
  }

  private async play(
    send: readonly ClientStep[],
    script: TargetScript,
    wait: (observe: () => Observation, ends: { client: ScriptedClient; signal: Signal }) => Promise<void>
  ): Promise<CaseResult> {
    const signal = new Signal()
    const client = new ScriptedClient(portOf(this.app.server), signal)
    const session = new TargetSession(script, signal, () => client.text)
    this.target.session = session
    const observe = (): Observation => ({
      answers: client.answers,
      closed: client.closed !== 'no',
      clientText: client.text,
      targetText: session.text,
      requests: session.requests,
      connections: session.connections,
      aborted: session.aborted
    })

    void client.play(send)
    await wait(observe, { client, signal })
    // Where a case says so, the answer is none of HTTP/1.1 at all.
    const answers = client.responses.filter(({ status }) => status !== 0)
    const broken = [...(await this.probe(session)), ...answers.flatMap(headFaults)]
    const seen = observe()
    client.destroy()
    this.target.disconnect()
    return { seen, broken }
  }

  async close(): Promise<void> {
    this.target.close()
    this.app.server.closeAllConnections()
    await this.app.close()
  }

  /** Whether the gateway is alive, and has sent the target nothing that could be misread. */
  private async probe(session: TargetSession): Promise<string[]> {
    session.over = true
    const signal = new Signal()
    const client = new ScriptedClient(portOf(this.app.server), signal)
    void client.play([PROBE])
    await signal.until(() => client.closed !== 'no', LIMIT)
    client.destroy()
    const [answer, ...more] = client.answers
    const alive = answer?.status === 200 && answer.body === 'ok' && more.length === 0
    return alive ? session.faults : [...session.faults, `no answer afterwards, but ${client.text}`]
  }
}

/** Hands out lanes of each kind, and starts more of them while there are fewer than `most`. */
export class Lanes {
  private readonly most: number
  private readonly free = new Map<GatewayKind, Lane[]>()
  private readonly started: Lane[] = []
  private readonly counts = new Map<GatewayKind, number>()
  private readonly signal = new Signal()
  private readonly prepare: ((app: FastifyInstance) => void) | undefined

  constructor(most: number, prepare?: (app: FastifyInstance) => void) {
    this.most = most
    this.prepare = prepare
  }

  run(one: RawCase): Promise<CaseResult> {
    return this.use(one.gateway ?? 'plain', (lane) => lane.run(one))
  }

  async use<T>(kind: GatewayKind, task: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = await this.take(kind)
    try {
      return await task(lane)
    } finally {
      this.free.get(kind)?.push(lane)
      this.signal.notify()
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.started.map((lane) => lane.close()))
  }

  private async take(kind: GatewayKind): Promise<Lane> {
    const free = this.free.get(kind) ?? []
    this.free.set(kind, free)
    const count = this.counts.get(kind) ?? 0
    if (free.length === 0 && count < this.most) {
      this.counts.set(kind, count + 1)
      const lane = await Lane.start(kind, this.prepare)
      this.started.push(lane)
      return lane
    }
    await this.signal.until(() => free.length > 0, LIMIT * 10)
    const lane = free.pop()
    return lane ?? this.take(kind)
  }
}

function configOf(kind: GatewayKind, url: string): object {
  const impatient = kind === 'impatient'
  const all = { id: 'all', match: { path: '/*' }, upstream: 'target' }
  const other = { id: 'other', match: { path: '/api/*', hosts: ['gw.test'] }, upstream: 'nowhere' }
  return {
    upstreams: {
      target: {
        targets: [{ url, maxFails: 0 }],
        ...(impatient ? { timeouts: { response: '300ms', idle: '300ms' } } : {})
      },
      nowhere: { targets: ['http://127.0.0.1:1'] }
    },
    routes: kind === 'by-host' ? [other, all] : [all],
    trustedProxies: kind === 'trusting' ? ['127.0.0.1'] : [],
    ...(impatient ? { server: { headersTimeout: '400ms', requestTimeout: '600ms' } } : {})
  }
}
