import Fastify, { type FastifyInstance } from 'fastify'
import diagnostics, { type DiagnosticsOptions } from 'fastify-gateway/diagnostics'

class Greeter {
  readonly name = 'hello-world-service'
  greetings = 0

  greet(who: string): string {
    this.greetings++
    return `Hello, ${who}! This is ${this.name}.\n`
  }
}

/** A web site that says hello, and into which docs/debugging.md looks. */
export async function build(options: DiagnosticsOptions): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(diagnostics, options)
  const greeter = new Greeter()

  app.get('/', function indexHandler(): string {
    return greeter.greet('world')
  })

  app.get('/slow', function slowHandler(): string {
    const order = { id: 7, customer: 'ann', lines: [1, 2, 3] }
    return `${price(order, Date.now() + 10_000)}\n`
  })

  app.get('/crash', function crashHandler(): string {
    const orderId = greeter.greetings + 40
    setImmediate(() => {
      throw Object.assign(new Error('no such order'), { code: 'ORDER_UNKNOWN', orderId })
    })
    return 'too late\n'
  })
  return app
}

/** Keeps the event loop busy until then, and calls nobody, so that it is found on top of the stack. */
function price(order: { id: number; lines: readonly number[] }, until: number): number {
  let total = 0
  while (Date.now() < until) {
    total = order.id
    for (const line of order.lines) total += line
  }
  return total
}

if (process.argv[1] === import.meta.filename) {
  const token = process.env.DIAGNOSTICS_TOKEN
  const app = await build(
    token === undefined
      ? {}
      : {
          enabled: true,
          token,
          port: Number(process.env.DIAGNOSTICS_PORT ?? 9901),
          minInterval: 0,
          minFree: 0,
          crashLocals: true
        }
  )
  console.log(`hello on ${await app.listen({ port: Number(process.env.PORT ?? 8080) })}, process ${process.pid}`)
}
