import proxyAddr from '@fastify/proxy-addr'
import type { z } from 'zod'
import { diagnostics } from './diagnostics-schema.ts'
import { routes } from './route-schema.ts'
import { upstream } from './upstream-schema.ts'
import { duration, flag, leaf, list, mapping, name, processes, record, size, text } from './values.ts'

const tls = mapping({
  cert: text('PEM text, or the path of a PEM file').describe(
    'Certificate of the server, and those between it and its root: PEM text, or the path of a file.'
  ),
  key: text('PEM text, or the path of a PEM file').describe('Its private key: PEM text, or a path.'),
  ca: text('PEM text, or the path of a PEM file')
    .optional()
    .describe('Who signs the certificates of clients; each of them must then show one: PEM text, or a path.'),
  minVersion: name(['TLSv1.2', 'TLSv1.3']).prefault('TLSv1.2').describe('Oldest version of TLS that is spoken.')
})

const server = mapping({
  workers: processes()
    .prefault(1)
    .describe('Processes of a stand-alone gateway that share the work; 1 = one process, without a supervisor.'),
  headersTimeout: duration().prefault('15s').describe('For a client to send the head of a request; 0 = no limit.'),
  requestTimeout: duration().prefault(0).describe('For a client to send a whole request; 0 = no limit.'),
  keepAliveTimeout: duration().prefault('72s').describe('How long an idle client connection is kept.'),
  maxConnectionAge: duration()
    .prefault(0)
    .describe('After which a client connection is given up once what is under way is answered; 0 = any age.'),
  maxHeaderSize: size().prefault('16kb').describe('Largest head of a request.'),
  bodyLimit: size().prefault(0).describe('Largest request body; 0 = no limit.'),
  http2: flag()
    .prefault(true)
    .describe('Whether HTTP/2 is spoken beside HTTP/1.1: with TLS by ALPN, without to clients that begin with it.'),
  tls: tls.optional().describe('Makes the server speak TLS. Paths of files are relative to the configuration file.')
})

/** The configuration: what may be written, what it means, and what the snapshot holds. */
export const schema = mapping({
  upstreams: record(/./s, 'a name', upstream).prefault({}).describe('Groups of targets, by name.'),
  routes: routes.prefault([]).describe('Which requests go where.'),
  trustedProxies: list(address())
    .prefault([])
    .describe(
      'Peers whose `x-forwarded-*` headers are believed: addresses, ranges, `loopback`, `linklocal`, `uniquelocal`, `unix` (those of a unix socket).'
    ),
  server: server.prefault({}).describe('The listening server, and its limits.'),
  diagnostics: diagnostics.prefault({}).describe('How to look inside the process, alive or dead.')
})

/** The configuration as one writes it, in code or in a file. */
export type GatewayOptions = z.input<typeof schema>
/** The validated configuration; deeply frozen, durations in milliseconds, sizes in bytes. */
export type GatewayConfig = z.output<typeof schema>
export type UpstreamConfig = GatewayConfig['upstreams'][string]
export type TargetConfig = UpstreamConfig['targets'][number]
export type RouteConfig = GatewayConfig['routes'][number]
export type ServerConfig = GatewayConfig['server']
export type DiagnosticsConfig = GatewayConfig['diagnostics']
/** Changes to headers or query; names keep the case in which they were written. */
export type HeaderRules = RouteConfig['response']['headers']

function address() {
  return leaf<string, string>({
    type: 'address',
    expected: 'an IP address, a range such as 10.0.0.0/8, loopback, linklocal, uniquelocal or unix',
    known: ['loopback', 'linklocal', 'uniquelocal', 'unix'],
    parse: (value) => (typeof value === 'string' && (value === 'unix' || isAddress(value)) ? value : undefined)
  })
}

function isAddress(value: string): boolean {
  try {
    proxyAddr.compile(value)
    return true
  } catch {
    return false
  }
}
