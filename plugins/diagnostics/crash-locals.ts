import type { Debugger } from 'node:inspector'
import type { Artifacts } from './artifacts.ts'
import { MainThread, within } from './main-thread.ts'
import type { Scrubber } from './secrets.ts'
import { followScripts, readFrames, type Scripts } from './stack.ts'
import type { Artifact, Stack } from './types.ts'

/** V8 guesses who will catch; where it guesses wrong again and again, nothing more is taken. */
const MOST = 5

interface Parts {
  readonly artifacts: Artifacts
  readonly scrubber: () => Scrubber
  readonly onTaken: (artifact: Artifact) => void
  /** Whether a pause is someone else's. */
  readonly isBusy: () => boolean
}

/** Has the main thread stop where an error is thrown that nobody catches, and keeps its variables. */
export async function keepCrashLocals(parts: Parts): Promise<MainThread> {
  const thread = new MainThread()
  const { session } = thread
  const scripts = followScripts(thread)
  let left = MOST
  session.on('Debugger.paused', ({ params }) => {
    const isThrown = params.reason === 'exception' || params.reason === 'promiseRejection'
    if (!isThrown && parts.isBusy()) return
    const kept = isThrown ? keep(parts, thread, scripts, params) : Promise.resolve()
    kept
      .catch(() => {})
      .then(() => session.post('Debugger.resume'))
      .then(() => {
        if (isThrown && --left === 0) thread.disconnect()
      })
      .catch(() => {})
  })
  await within(session.post('Debugger.enable'))
  await within(session.post('Debugger.setPauseOnExceptions', { state: 'uncaught' }))
  return thread
}

async function keep(
  { artifacts, scrubber, onTaken }: Parts,
  thread: MainThread,
  scripts: Scripts,
  { callFrames, data }: Debugger.PausedEventDataType
): Promise<void> {
  const clean = scrubber()
  const thrown: unknown =
    data === undefined ? undefined : (Reflect.get(data, 'description') ?? Reflect.get(data, 'value'))
  const frames = await readFrames(thread, callFrames, scripts, clean)
  const stack: Stack = { idle: false, ...(thrown === undefined ? {} : { error: clean.text(String(thrown)) }), frames }
  onTaken(artifacts.write('stack', 'crash', `${JSON.stringify(stack, null, 2)}\n`))
}
