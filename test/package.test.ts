import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2023',
    lib: ['ES2023'],
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ['node'],
    outDir: 'dist',
    rootDir: '.'
  },
  files: ['main.ts']
}

const MAIN = `
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import gateway, { type Balancer, compose, type Layer, type StrategyFactory } from 'fastify-gateway'
import { createBalancers } from 'fastify-gateway/balancer'
import { loadConfigFile, parseOptions } from 'fastify-gateway/config'
import discovery, { type DiscoveryOptions } from 'fastify-gateway/discovery'
import { InvalidConfigError } from 'fastify-gateway/errors'
import { createEventHandler, defineEventHandler, type EventFunction, type PlatformHandler } from 'fastify-gateway/events'
import { z } from 'zod'
import health, { type HealthChange } from 'fastify-gateway/health'
import { requestId } from 'fastify-gateway/middleware'
import proxy from 'fastify-gateway/proxy'
import { createServerFactory } from 'fastify-gateway/server'

const last: StrategyFactory = {
  name: 'last',
  create(_options, { now }) {
    let targets: Parameters<ReturnType<StrategyFactory['create']>['add']>[0][] = []
    return {
      add: (target) => void targets.push(target),
      remove: (target) => void (targets = targets.filter((other) => other !== target)),
      get: (context) => targets.findLast((target) => target.isAvailable(context, now))
    }
  }
}

const mark: Layer = async (exchange, next) => {
  await next()
  exchange.reply.header('x-route', exchange.route ?? 'none')
}

const target = createServer((request, response) => response.end(String(request.headers['x-request-id'] !== undefined)))
await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
const url = 'http://127.0.0.1:' + (target.address() as AddressInfo).port

const greet = defineEventHandler({ input: z.object({ key: z.string() }) }, ({ key }, context) => {
  const left: number = context.remainingTime()
  return key.toUpperCase() + (left > 0)
})
const typed: EventFunction<{ key: string }> = greet
// @ts-expect-error the event has no such field
defineEventHandler({ input: z.object({ key: z.string() }) }, ({ kee }) => kee)
// @ts-expect-error the result is no string
defineEventHandler({ output: z.string() }, () => 1)

const found: DiscoveryOptions = { upstreams: { api: { discover: [{ dns: 'api.internal', port: 3000 }] } } }
const changes: HealthChange[] = []
console.error(typeof discovery, typeof found, typeof health)
const app = Fastify({ serverFactory: createServerFactory(parseOptions({}).server) })
await app.register(gateway, {
  strategies: [last],
  functions: { greet: typed },
  upstreams: { api: { strategy: 'last', targets: ['http://127.0.0.1:1', url] } },
  routes: [{ id: 'api', match: { path: '/api/*' }, upstream: 'api' }]
})
app.health.on('change', (change) => changes.push(change))
app.middleware.use(compose([requestId(), mark]), { routes: ['api'] })
let upstream: string | undefined
app.addHook('onResponse', async (request) => {
  upstream = request.exchange?.upstream
})
const balancer: Balancer = app.balancers.get('api')
const { statusCode, headers, body } = await app.inject('/api/1')
const greeting: unknown = await app.events.invoke('greet', { key: 'v' })
const handler: PlatformHandler = createEventHandler(app)
await app.close()
target.close()

let refused = false
try {
  parseOptions({ routes: [{ upstream: 'missing' }] })
} catch (error) {
  refused = error instanceof InvalidConfigError && error.code === 'FST_GATEWAY_INVALID_CONFIG'
}
const known = [typeof proxy, typeof loadConfigFile, createBalancers().strategies.names.includes('round-robin')]
console.log(JSON.stringify({ statusCode, body, route: headers['x-route'], upstream, size: balancer.targets.length, refused, known, greeting, handler: typeof handler }))
`

interface Manifest {
  dependencies: Record<string, string>
}

/** A project into which the packed package is installed; of this one's modules it sees the dependencies only. */
async function createProject(t: TestContext): Promise<{ folder: string; files: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-package-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder])
  const { filename, files } = readPacked(packed.stdout)

  const installed = join(folder, 'node_modules/fastify-gateway')
  mkdirSync(installed, { recursive: true })
  await run('tar', ['-xzf', join(folder, filename), '-C', installed, '--strip-components=1'])
  const { dependencies }: Manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(resolve('node_modules', name), link, 'junction')
  }
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG))
  writeFileSync(join(folder, 'main.ts'), MAIN)
  return { folder, files }
}

function readPacked(stdout: string): { filename: string; files: string[] } {
  const [entry]: { filename: string; files: { path: string }[] }[] = JSON.parse(stdout)
  assert.ok(entry)
  return { filename: entry.filename, files: entry.files.map(({ path }) => path) }
}

test('the packed package compiles in a strict project, library check included, and runs', async (t) => {
  const { folder } = await createProject(t)

  const compiled = await run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', folder], {
    cwd: folder
  }).catch((error: { stdout: string }) => error)
  assert.equal(compiled.stdout, '')
  const { stdout } = await run(process.execPath, ['dist/main.js'], { cwd: folder })

  assert.deepEqual(JSON.parse(stdout), {
    statusCode: 200,
    body: 'true',
    route: 'api',
    upstream: 'api',
    size: 2,
    refused: true,
    known: ['function', 'function', true],
    greeting: 'Vtrue',
    handler: 'function'
  })
})

test('the packed package holds what users need and nothing else', async (t) => {
  const { files } = await createProject(t)

  const strays = files.filter((file) => !/^(dist\/(app\.|plugins\/)|docs\/|[^/]+$)/.test(file))

  assert.deepEqual(strays, [])
  for (const file of ['LICENSE', '.env.example', 'dist/app.js', 'dist/app.d.ts', 'docs/errors.md']) {
    assert.ok(files.includes(file))
  }
})
