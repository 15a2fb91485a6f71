import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import balancer, { type Balancer, type UpstreamOptions } from '../plugins/balancer/index.ts'
import { parseOptions } from '../plugins/config/index.ts'
import health, { type HealthChange, type HealthOptions } from '../plugins/health/index.ts'
import type { UpstreamSketch } from './forwarding-helper.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

/** A clock that stands still until it is moved, and the timers that hang on it. */
export class FakeTime {
  time = 1_000_000
  readonly timers = new Set<Timer>()
  readonly now = () => this.time
  readonly schedule = (callback: () => void, milliseconds: number) => {
    const timer = { at: this.time + milliseconds, callback }
    this.timers.add(timer)
    return () => void this.timers.delete(timer)
  }

  /** Moves on, and calls back what becomes due on the way, at its time. */
  advance(milliseconds: number): void {
    const end = this.time + milliseconds
    for (;;) {
      const [next] = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.timers.delete(next)
      this.time = Math.max(this.time, next.at)
      next.callback()
    }
    this.time = end
  }
}

export interface LogLine {
  level: number
  msg: string
  upstream?: string
  target?: string
  what?: string
  reason?: string
  err?: { message: string }
}

export interface Watched {
  app: FastifyInstance
  /** The balancer of the upstream `users`. */
  users: Balancer
  time: FakeTime
  changes: HealthChange[]
  lines: LogLine[]
  /** What has happened, as `what target`. */
  story(): string[]
}

/** An app with balancers and health, whose clock is moved by the test; the upstream is called `users`. */
export async function watch(
  t: TestContext,
  upstream: UpstreamSketch,
  options: Omit<HealthOptions, 'config' | 'upstreams'> = {}
): Promise<Watched> {
  const lines: LogLine[] = []
  const changes: HealthChange[] = []
  const time = new FakeTime()
  const app = Fastify({ logger: { level: 'info', stream: { write: (line) => void lines.push(JSON.parse(line)) } } })
  t.after(() => app.close())
  const config = parseOptions({ upstreams: { users: upstream } })
  const upstreams: Record<string, UpstreamOptions> = config.upstreams
  await app.register(balancer, { upstreams, now: time.now })
  await app.register(health, { config, now: time.now, schedule: time.schedule, random: () => 0, ...options })
  app.health.on('change', (change) => void changes.push(change))
  await app.ready()
  const users = app.balancers.get('users')
  const nameOf = (url: string | undefined) => users.targets.findIndex((target) => target.url === url)
  const story = () => changes.map(({ what, target }) => `${what} ${target === undefined ? 'all' : nameOf(target)}`)
  return { app, users, time, changes, lines, story }
}
