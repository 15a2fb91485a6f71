import { readCredentials, withCredentials } from './credentials.ts'
import { crossCheck } from './cross-checks.ts'
import { type ConfigFault, type Fault, type FaultPath, invalidConfig, isWithin, showPath, toFaults } from './faults.ts'
import { type GatewayConfig, type GatewayOptions, schema } from './schema.ts'
import { snapshot } from './snapshot.ts'

/** Either the snapshot, or everything that is wrong with the input. */
export type Checked = { readonly config: GatewayConfig } | { readonly faults: readonly Fault[] }

/**
 * Checks options given in code, and makes the snapshot of them. PEM files are relative to the working directory.
 * @param where what the faults call the options; default `options`
 * @throws InvalidConfigError with all faults
 */
export function parseOptions(options: GatewayOptions, where = 'options'): GatewayConfig {
  const checked = check(options, process.cwd())
  if ('config' in checked) return checked.config
  throw invalidConfig(checked.faults.map((fault) => withoutPosition(fault, [where, ...fault.path])))
}

/**
 * Checks a configuration of any origin; PEM files are relative to `directory`.
 * @param strategies names of all strategies there are; unknown ones are faults then
 */
export function check(input: unknown, directory: string, strategies?: readonly string[]): Checked {
  const parsed = schema.safeParse(input)
  const credentials = readCredentials(input, directory)
  const faults = [
    ...toFaults(parsed.error?.issues ?? [], input),
    ...crossCheck(input, strategies),
    ...credentials.faults
  ]
  if (parsed.success && faults.length === 0) return { config: snapshot(withCredentials(parsed.data, credentials)) }
  return { faults }
}

/** A fault of something that is not a file. */
export function withoutPosition({ message }: Fault, path: FaultPath): ConfigFault {
  const shown = showPath(path)
  return { text: `${shown}: ${message}`, path: shown, message, position: undefined }
}

/** The faults that remain when those that follow from an earlier one, at or above the same place, are left out. */
export function withoutConsequences(faults: readonly Fault[], earlier: readonly Fault[]): Fault[] {
  return faults.filter((fault) => !earlier.some(({ path }) => isWithin(fault.path, path)))
}
