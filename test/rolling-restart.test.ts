import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type TestContext, test } from 'node:test'
import { load } from '../bench/load.ts'
import type { Balancer, Target } from '../plugins/balancer/index.ts'
import { eventually, startGateway, type UpstreamSketch } from './forwarding-helper.ts'
import { portOf } from './helper.ts'

const answers = { count: 0 }

/** A target that can be stopped and started again on its port; it takes a moment for each answer. */
class Restartable {
  port = 0
  /** Requests since its last start. */
  served = 0
  #server: Server | undefined = undefined

  async start(): Promise<void> {
    this.served = 0
    const server = createServer((_request, response) => {
      this.served++
      answers.count++
      setTimeout(() => {
        // A connection that is kept would be used again and again, and the server never be done.
        if (!server.listening) response.setHeader('connection', 'close')
        response.setHeader('content-length', 2)
        response.end('ok')
      }, 2)
    })
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.port = portOf(server)
    this.#server = server
  }

  /** Ends idle connections at once, others when they are done, and refuses new ones. */
  async stop(): Promise<void> {
    const closed = this.#server?.close()
    if (closed !== undefined) await once(closed, 'close')
  }

  kill(): void {
    this.#server?.closeAllConnections()
    this.#server?.close()
  }
}

const announced = [
  { name: 'taken down', out: (balancer: Balancer, url: string) => balancer.setDown(url, true) },
  { name: 'drained', out: (balancer: Balancer, url: string) => balancer.drain(url) }
]

for (const { name, out } of announced) {
  for (const strategy of ['round-robin', 'least-connections', 'p2c']) {
    test(`${strategy}: all targets are ${name}, restarted and put back under load, and no request fails`, async (t) => {
      const { balancer, restartables, rounds } = await startUnderLoad(t, {
        strategy,
        slowStart: { window: '50ms' },
        retry: { attempts: 0 }
      })

      for (const [index, target] of balancer.targets.entries()) {
        out(balancer, target.url)
        await eventually(() => target.inFlight === 0, 'an attempt does not end')
        await restart(restartables[index])
        balancer.setDown(target.url, false)
        balancer.undrain(target.url)
        await isUsed(restartables[index])
      }

      assert.ok((await rounds()) > 0)
    })
  }
}

test('targets are removed, restarted and added again under load, and no request fails', async (t) => {
  const { balancer, restartables, rounds } = await startUnderLoad(t, { strategy: 'smooth-weighted-round-robin' })

  for (const restartable of restartables) {
    const target = balancer.find(`http://127.0.0.1:${restartable.port}`)
    assert.ok(target)
    balancer.remove(target.url)
    await eventually(() => target.inFlight === 0, 'an attempt does not end')
    await restart(restartable)
    balancer.add(target.url)
    await isUsed(restartable)
  }

  assert.ok((await rounds()) > 0)
})

test('targets are restarted under load without a word to the gateway, and no request fails', async (t) => {
  const { balancer, restartables, rounds } = await startUnderLoad(t, {
    strategy: 'round-robin',
    retry: { attempts: 2 }
  })

  for (const [index, restartable] of restartables.entries()) {
    await restart(restartable)
    await isUsed(restartable)
    await eventually(() => isWhole(balancer.targets[index]), 'its failures are not forgiven')
  }

  assert.ok((await rounds()) > 0)
})

/** A gateway with three targets, under load until `rounds` is called, which rejects if any request has failed. */
async function startUnderLoad(t: TestContext, upstream: Partial<UpstreamSketch>) {
  const restartables = [new Restartable(), new Restartable(), new Restartable()]
  for (const restartable of restartables) await restartable.start()
  t.after(() => {
    for (const restartable of restartables) restartable.kill()
  })
  const targets = restartables.map(({ port }) => ({ url: `http://127.0.0.1:${port}`, failTimeout: 50 }))
  const { app, port } = await startGateway(t, targets, { upstream })
  let isOver = false
  t.after(() => {
    isOver = true
  })
  const running = (async () => {
    let count = 0
    for (; !isOver; count++) await load({ port, requests: 40, connections: 4 })
    return count
  })()
  running.catch(() => {})
  const rounds = () => {
    isOver = true
    return running
  }
  return { balancer: app.balancers.get('users'), restartables, rounds }
}

/** Leaves the target stopped for as long as it takes the others to serve some requests. */
async function restart(restartable: Restartable | undefined): Promise<void> {
  await restartable?.stop()
  const enough = answers.count + 30
  await eventually(() => answers.count >= enough, 'the others do not serve')
  await restartable?.start()
}

function isUsed(restartable: Restartable | undefined): Promise<void> {
  return eventually(() => restartable !== undefined && restartable.served > 0, 'a target is not used again')
}

function isWhole(target: Target | undefined): boolean {
  return target?.fails === 0
}
