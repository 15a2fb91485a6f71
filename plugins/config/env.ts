import type { z } from 'zod'
import { parts, variables } from './env-variables.ts'
import { type ConfigFault, type Fault, type FaultPath, invalidConfig, isWithin, toFaults } from './faults.ts'
import { checkConfigFile } from './load.ts'
import { check, withoutPosition } from './parse.ts'
import type { DiagnosticsConfig, GatewayConfig, ServerConfig } from './schema.ts'

type Variables = z.output<typeof variables>

/** What the environment says. */
export interface GatewayEnv {
  readonly host: string
  readonly port: number
  /** 1 = no supervisor. */
  readonly workers: number
  readonly logLevel: Variables['GATEWAY_LOG_LEVEL']
  /** `undefined` if the environment leaves it open. */
  readonly logPretty: boolean | undefined
  readonly accessLog: boolean
  /** In milliseconds. */
  readonly shutdownTimeout: number
  /** The listening server; as by default where nothing is said of it. */
  readonly server: ServerConfig
  /** The diagnostics; off where nothing is said of them. */
  readonly diagnostics: DiagnosticsConfig
  /** `undefined` if there is neither a file nor a target. */
  readonly config: GatewayConfig | undefined
  readonly source: 'file' | 'targets' | 'none'
  readonly configFile: string | undefined
}

/**
 * Reads the `GATEWAY_*` variables of `env`, and the file that GATEWAY_CONFIG names; an empty variable is an unset one.
 * GATEWAY_TARGETS makes one upstream and one route to it, both called `default`.
 * @param strategies names of all strategies there are; an unknown one is a fault then
 * @throws UnreadableConfigError if the file cannot be read
 * @throws InvalidConfigError with all faults of the variables and of the file
 */
export function parseEnv(env: NodeJS.ProcessEnv, strategies?: readonly string[]): GatewayEnv {
  const given = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => name.startsWith('GATEWAY_') && value !== undefined && value !== '')
  )
  const parsed = variables.safeParse(given)
  const fromParts = checkParts(given, strategies)
  const configFile = given.GATEWAY_CONFIG
  const fromFile = configFile === undefined ? undefined : checkConfigFile(configFile, env, strategies)

  const faults = [
    ...toFaults(parsed.error?.issues ?? [], given, 'variable').map((fault) => withoutPosition(fault, fault.path)),
    ...(configFile === undefined ? [] : conflicts(given)),
    ...faultsOf(fromParts),
    ...faultsOf(fromFile)
  ]
  const checkedParts = 'config' in fromParts ? fromParts.config : undefined
  if (!parsed.success || checkedParts === undefined || faults.length > 0) throw invalidConfig(faults)

  const source = configFile !== undefined ? 'file' : given.GATEWAY_TARGETS !== undefined ? 'targets' : 'none'
  const checked = { file: fromFile, targets: fromParts, none: undefined }[source]
  const config = checked !== undefined && 'config' in checked ? checked.config : undefined
  const { server, diagnostics } = config ?? checkedParts
  return {
    host: parsed.data.GATEWAY_HOST,
    port: parsed.data.GATEWAY_PORT,
    workers: parsed.data.GATEWAY_WORKERS ?? server.workers,
    logLevel: parsed.data.GATEWAY_LOG_LEVEL,
    logPretty: parsed.data.GATEWAY_LOG_PRETTY,
    accessLog: parsed.data.GATEWAY_ACCESS_LOG,
    shutdownTimeout: parsed.data.GATEWAY_SHUTDOWN_TIMEOUT,
    server,
    diagnostics,
    config,
    source,
    configFile
  }
}

/** Checks the variables that stand for parts of the configuration, as if they had been written in a file. */
function checkParts(
  given: Readonly<Record<string, string | undefined>>,
  strategies: readonly string[] | undefined
): ReturnType<typeof checkConfigFile> {
  const options = { upstreams: { default: {} }, routes: [{ id: 'default', upstream: 'default' }] }
  for (const { name, path, read } of listParts()) {
    const value = given[name]
    if (value !== undefined) put(options, path, read(value))
  }
  const checked = check(options, process.cwd(), strategies)
  return 'config' in checked ? checked : { faults: checked.faults.map(asVariable) }
}

function conflicts(given: object): ConfigFault[] {
  return listParts()
    .filter(({ name }) => Object.hasOwn(given, name))
    .map(({ name }) => {
      const message = 'found beside GATEWAY_CONFIG, expected only one of the two; the file can say the same'
      return withoutPosition({ path: [name], at: 'key', message }, [name])
    })
}

function asVariable(fault: Fault): ConfigFault {
  const part = listParts().find(({ path }) => isWithin(fault.path, path))
  return withoutPosition(fault, part === undefined ? fault.path : [part.name, ...fault.path.slice(part.path.length)])
}

function listParts() {
  return Object.entries(variables.shape).flatMap(([name, variable]) => {
    const part = parts.get(variable)
    return part === undefined ? [] : [{ name, ...part }]
  })
}

function put(tree: object, path: FaultPath, value: unknown): void {
  const [key, ...rest] = path
  if (key === undefined) return
  if (rest.length === 0) {
    Reflect.set(tree, key, value)
    return
  }
  const below: unknown = Reflect.get(tree, key)
  const child = typeof below === 'object' && below !== null ? below : {}
  Reflect.set(tree, key, child)
  put(child, rest, value)
}

function faultsOf(checked: ReturnType<typeof checkConfigFile> | undefined): readonly ConfigFault[] {
  return checked !== undefined && 'faults' in checked ? checked.faults : []
}
