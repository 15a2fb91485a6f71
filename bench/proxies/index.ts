import { randomBytes } from 'node:crypto'
import { gatewayAlone } from './gateway-alone.ts'
import { node, origin } from './node-command.ts'
import { provide } from './packages.ts'
import { programs } from './programs.ts'
import type { Capability, Contender } from './types.ts'

export { node } from './node-command.ts'
export { type Capability, type Command, type Contender, type Features, PLAIN, type Setup } from './types.ts'

/** The one that all others are compared with. */
export const OWN = 'gateway'
export const EMBEDDED = 'gateway in a Fastify app'
export const NO_PROXY = 'node:http, no proxy'
export const GO = 'Go ReverseProxy'
export const NGINX = 'nginx'

const BOTH: readonly Capability[] = ['tls', 'webSocket']

/** Everything that is measured, in the order of the tables. */
export const proxies: readonly Contender[] = [
  { name: OWN, can: BOTH, prepare: (setup) => gatewayAlone(setup) },
  {
    name: 'gateway, access log',
    can: BOTH,
    prepare: (setup) => gatewayAlone({ ...setup, env: { ...setup.env, GATEWAY_ACCESS_LOG: 'true' } })
  },
  {
    name: 'gateway, diagnostics on',
    can: BOTH,
    prepare: (setup) => {
      const token = randomBytes(32).toString('hex')
      const diagnostics = { enabled: true, token, port: 0, directory: `${setup.folder}/diagnostics` }
      return gatewayAlone(setup, { diagnostics: { ...diagnostics, blockedAfter: '2s' } })
    }
  },
  {
    name: EMBEDDED,
    can: BOTH,
    prepare: (setup) => node(setup.functionTarget ? 'embedded-function' : 'embedded', setup)
  },
  { name: NO_PROXY, can: BOTH, prepare: (setup) => origin(setup) },
  { name: 'node:http and undici', can: ['tls'], prepare: (setup) => node('undici', setup) },
  { name: '@fastify/reply-from', can: ['tls'], prepare: (setup) => node('reply-from', setup) },
  ofPackage('@fastify/http-proxy', ['tls', 'webSocket']),
  ofPackage('http-proxy-3', ['tls', 'webSocket']),
  ofPackage('fast-gateway', []),
  ...programs
]

function ofPackage(name: string, can: readonly Capability[]): Contender {
  return {
    name,
    can,
    prepare: (setup) => (provide(name) ? node(name, setup) : 'it cannot be installed')
  }
}
