import { z } from 'zod'
import { parseDuration } from '../units.ts'
import { leaf, mapping, name, processes, text } from './values.ts'

type Path = readonly (string | number)[]

/** For a variable that stands for a part of the configuration: which part, and how to read it. */
export const parts = z.registry<{ path: Path; read: (text: string) => unknown; example: string }>()

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** Every environment variable of the gateway, in the order in which they are shown. */
export const variables = mapping({
  GATEWAY_HOST: text('a host name or an IP address', /^\S+$/)
    .prefault('127.0.0.1')
    .describe('Address to listen on; `unix:/path/to.sock` for a unix socket.'),
  GATEWAY_PORT: port().prefault('8080').describe('Port to listen on; 0 = any free one.'),
  GATEWAY_WORKERS: processes()
    .optional()
    .describe('Processes that share the work: a number, or `auto` for one a processor. Wins over `server.workers`.'),
  GATEWAY_CONFIG: text('the path of a file')
    .optional()
    .describe(
      'Configuration file, YAML or JSON. Takes the place of all variables from GATEWAY_TARGETS to GATEWAY_DIAGNOSTICS_CRASH_LOCALS.'
    ),
  GATEWAY_TARGETS: part(
    ['upstreams', 'default', 'targets'],
    'http://127.0.0.1:3001;weight=5,http://127.0.0.1:3002',
    readTargets
  ).describe('Targets, separated by commas; each may have options of a target: `;weight=5`, `;backup`.'),
  GATEWAY_STRATEGY: part(['upstreams', 'default', 'strategy'], 'round-robin').describe('The balancing algorithm.'),
  GATEWAY_HASH_KEY: part(['upstreams', 'default', 'hashKey'], 'header:x-user-id').describe(
    'What the hash strategies hash: ip, path, url, header:NAME, cookie:NAME or query:NAME.'
  ),
  GATEWAY_PATH: part(['routes', 0, 'match', 'path'], '/*').describe('Which paths are forwarded.'),
  GATEWAY_REWRITE_PREFIX: part(['routes', 0, 'rewrite', 'prefix'], '/v1').describe(
    'Takes the place of the prefix that GATEWAY_PATH matched.'
  ),
  GATEWAY_REWRITE_HOST: part(['routes', 0, 'rewrite', 'host'], 'preserve').describe(
    'Host header for the target: preserve, target, or a literal host.'
  ),
  GATEWAY_TRUSTED_PROXIES: part(['trustedProxies'], '10.0.0.0/8,loopback', readList).describe(
    'Peers whose x-forwarded-* headers are believed, separated by commas.'
  ),
  GATEWAY_TLS_CERT: part(['server', 'tls', 'cert'], 'gateway.crt').describe(
    'Certificate of the server, which then speaks TLS: the path of a PEM file, or PEM text.'
  ),
  GATEWAY_TLS_KEY: part(['server', 'tls', 'key'], 'gateway.key').describe('Its private key: a path, or PEM text.'),
  GATEWAY_DIAGNOSTICS_ENABLED: part(['diagnostics', 'enabled'], 'false', readFlag).describe(
    'Whether there is a listener for diagnostics on loopback, and reports of crashes.'
  ),
  GATEWAY_DIAGNOSTICS_TOKEN: part(['diagnostics', 'token'], 'of-32-characters-or-more-by-lot-').describe(
    'What clients of that listener show as bearer token, at least 32 characters.'
  ),
  GATEWAY_DIAGNOSTICS_PORT: part(['diagnostics', 'port'], '9901', readNumber).describe('Its port; 0 = any free one.'),
  GATEWAY_DIAGNOSTICS_DIRECTORY: part(['diagnostics', 'directory'], 'diagnostics').describe(
    'Where artifacts are kept, for the own user alone.'
  ),
  GATEWAY_DIAGNOSTICS_BLOCKED_AFTER: part(['diagnostics', 'blockedAfter'], '2s').describe(
    'How long the event loop may be blocked before a stack is taken by itself; 0 = never.'
  ),
  GATEWAY_DIAGNOSTICS_CRASH_LOCALS: part(['diagnostics', 'crashLocals'], 'false', readFlag).describe(
    'Whether an error nobody catches leaves the variables of its frames.'
  ),
  GATEWAY_LOG_LEVEL: name(LEVELS).prefault('info').describe('Least severe level that is logged.'),
  GATEWAY_LOG_PRETTY: flag()
    .optional()
    .describe('Log lines for people instead of JSON; by default only when stdout is a terminal.'),
  GATEWAY_ACCESS_LOG: flag().prefault('false').describe('One log line for each exchange, on every route.'),
  GATEWAY_SHUTDOWN_TIMEOUT: leaf<string, number>({
    type: 'duration',
    expected: 'a duration such as 250ms, 10s, 5m, or a number of milliseconds',
    parse: parseDuration
  })
    .prefault('10s')
    .describe('How long exchanges under way may take to end after SIGTERM.')
})

function port() {
  return leaf<string, number>({
    type: 'port',
    expected: 'a port 0-65535',
    parse: (value) => {
      const number = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN
      return number <= 65535 ? number : undefined
    }
  })
}

function flag() {
  const values: Readonly<Record<string, boolean>> = { true: true, 1: true, false: false, 0: false }
  return leaf<string, boolean>({
    type: '`true`, `false`, `1`, `0`',
    expected: 'true, false, 1 or 0',
    parse: (value) => (typeof value === 'string' && Object.hasOwn(values, value) ? values[value] : undefined)
  })
}

function part(path: Path, example: string, read: (text: string) => unknown = (value) => value) {
  return text('a value').optional().register(parts, { path, read, example })
}

function readTargets(value: string): unknown[] {
  return readList(value).map((target) => {
    const [url, ...options] = target.split(';').map((piece) => piece.trim())
    return { url, ...Object.fromEntries(options.map(readOption)) }
  })
}

function readOption(option: string): [string, unknown] {
  const equals = option.indexOf('=')
  if (equals === -1) return [option, true]
  const value = option.slice(equals + 1)
  if (value === 'true' || value === 'false') return [option.slice(0, equals), value === 'true']
  return [option.slice(0, equals), /^\d+$/.test(value) ? Number(value) : value]
}

function readList(value: string): string[] {
  return value.split(',').map((item) => item.trim())
}

function readFlag(value: string): unknown {
  return value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value
}

function readNumber(value: string): unknown {
  return /^\d+$/.test(value) ? Number(value) : value
}
