import type { FastifyBaseLogger } from 'fastify'
import type { DiagnosticsConfig } from '../config/index.ts'
import type { Artifacts } from './artifacts.ts'
import { rawDirectory } from './left-overs.ts'
import { renderReport } from './report.ts'
import { Scrubber } from './secrets.ts'
import type { Reason } from './types.ts'

/** What of `process.report` is changed, and put back. */
const SETTINGS = ['reportOnFatalError', 'directory', 'excludeEnv', 'excludeNetwork'] as const

/**
 * Has SIGUSR2, errors nobody catches, and a full heap leave reports. Errors still end the process: they are only looked
 * at. Returns what undoes it.
 */
export function hookProcess(
  config: DiagnosticsConfig,
  token: string,
  artifacts: Artifacts,
  log: FastifyBaseLogger,
  afterCrash: (error: unknown) => void
): () => void {
  function writeReport(reason: Reason, error?: unknown, origin?: string): void {
    try {
      const scrubber = new Scrubber(process.env, [token])
      const artifact = artifacts.write('report', reason, renderReport(scrubber, error, origin))
      artifacts.prune(config.maxFiles, config.maxBytes)
      log.warn({ artifact }, 'a report was written')
    } catch (err) {
      log.error({ err }, 'no report could be written')
    }
  }

  const onSignal = () => writeReport('signal')
  const onCrash = (error: unknown, origin: string) => {
    writeReport('crash', error, origin)
    afterCrash(error)
  }
  process.on('SIGUSR2', onSignal)
  process.on('uncaughtExceptionMonitor', onCrash)
  const restore = reportOnFullHeap(artifacts)
  return () => {
    process.off('SIGUSR2', onSignal)
    process.off('uncaughtExceptionMonitor', onCrash)
    restore()
  }
}

/**
 * Node.js writes this report by itself, since nothing can run any more. Where it has lost hold of its settings by then,
 * only its option `--report-exclude-env` leaves the environment out.
 */
function reportOnFullHeap(artifacts: Artifacts): () => void {
  const { report } = process
  if (report === undefined) return () => {}
  const before = SETTINGS.map((name) => [name, Reflect.get(report, name)] as const)
  const values = {
    reportOnFatalError: true,
    directory: rawDirectory(artifacts),
    excludeEnv: true,
    excludeNetwork: true
  }
  for (const name of SETTINGS) if (name in report) Reflect.set(report, name, values[name])
  return () => {
    for (const [name, value] of before) if (name in report) Reflect.set(report, name, value)
  }
}
