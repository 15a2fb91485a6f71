import type { Debugger, Runtime } from 'node:inspector'
import { type MainThread, within } from './main-thread.ts'
import { isSecretName, REDACTED, type Scrubber } from './secrets.ts'
import type { Frame, SourceLine, Stack, Variable } from './types.ts'

const MAX_FRAMES = 16
/** Frames with variables; those further out have none. */
const MAX_DETAILED = 8
const MAX_VARIABLES = 40
const MAX_PROPERTIES = 16
const MAX_TEXT = 256
const MAX_SCRUBBED = 16_384
const LINES_AROUND = 4

/** Where scripts come from, by the ids that frames name; they are told when the debugger is enabled. */
export type Scripts = Map<string, string>

/** Notes scripts as the debugger tells of them. */
export function followScripts({ session }: MainThread): Scripts {
  const scripts: Scripts = new Map()
  session.on('Debugger.scriptParsed', ({ params }) => void scripts.set(params.scriptId, params.url))
  return scripts
}

/**
 * Stops the main thread within whatever it runs, looks at the stack, and lets it go on. A thread that runs nothing until
 * the timeout is idle.
 */
export async function takeStack(
  thread: MainThread,
  scrubber: Scrubber,
  timeout: number
): Promise<{ stack: Stack; pausedMs: number }> {
  const { session } = thread
  const scripts = followScripts(thread)
  await within(session.post('Debugger.enable'))
  try {
    const paused = nextPause(thread, timeout)
    await within(session.post('Debugger.pause'))
    const pause = await paused
    if (pause === undefined) return { stack: { idle: true, frames: [] }, pausedMs: 0 }
    const from = performance.now()
    const frames = await readFrames(thread, pause.callFrames, scripts, scrubber)
    await session.post('Debugger.resume')
    return { stack: { idle: false, frames }, pausedMs: performance.now() - from }
  } finally {
    // Lets go of a pause that has not come, and of the thread if something failed while it was stopped.
    await within(session.post('Debugger.disable'))
  }
}

function nextPause({ session }: MainThread, timeout: number): Promise<Debugger.PausedEventDataType | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), timeout)
    session.once('Debugger.paused', ({ params }) => {
      clearTimeout(timer)
      resolve(params)
    })
  })
}

/** Frames of the program itself, and of Node.js where nothing else is on the stack. */
export async function readFrames(
  thread: MainThread,
  callFrames: readonly Debugger.CallFrame[],
  scripts: Scripts,
  scrubber: Scrubber
): Promise<Frame[]> {
  const frames: Frame[] = []
  for (const [index, frame] of callFrames.slice(0, MAX_FRAMES).entries()) {
    frames.push(await readFrame(thread, frame, scripts, scrubber, index < MAX_DETAILED))
  }
  return frames
}

async function readFrame(
  thread: MainThread,
  { functionName, location, scopeChain, url }: Debugger.CallFrame,
  scripts: Scripts,
  scrubber: Scrubber,
  detailed: boolean
): Promise<Frame> {
  const script = scripts.get(location.scriptId) ?? url
  const scopes = detailed && !script.startsWith('node:') ? scopeChain : []
  return {
    function: functionName === '' ? '(anonymous)' : functionName,
    url: scrubber.text(script),
    line: location.lineNumber + 1,
    column: (location.columnNumber ?? 0) + 1,
    source: scopes.length === 0 ? [] : await readSource(thread, location, scrubber),
    locals: await readScopes(thread, scopes, ['local', 'block', 'catch', 'with', 'eval'], scrubber),
    closure: await readScopes(thread, scopes, ['closure'], scrubber)
  }
}

async function readSource({ session }: MainThread, at: Debugger.Location, scrubber: Scrubber): Promise<SourceLine[]> {
  const { scriptSource } = await within(session.post('Debugger.getScriptSource', { scriptId: at.scriptId }))
  const first = Math.max(0, at.lineNumber - LINES_AROUND)
  return scriptSource
    .split('\n')
    .slice(first, at.lineNumber + LINES_AROUND + 1)
    .map((text, index) => ({ line: first + index + 1, text: shorten(clean(text, scrubber)) }))
}

async function readScopes(
  thread: MainThread,
  scopes: readonly Debugger.Scope[],
  types: readonly string[],
  scrubber: Scrubber
): Promise<Variable[]> {
  const variables: Variable[] = []
  for (const { type, object } of scopes) {
    if (!types.includes(type) || object.objectId === undefined) continue
    const properties = await propertiesOf(thread, object.objectId)
    for (const property of properties.slice(0, MAX_VARIABLES - variables.length)) {
      variables.push(await readVariable(thread, property, scrubber))
    }
  }
  return variables
}

async function readVariable(
  thread: MainThread,
  { name, value }: Runtime.PropertyDescriptor,
  scrubber: Scrubber
): Promise<Variable> {
  const variable = show(name, value, scrubber)
  if (value?.type !== 'object' || value.objectId === undefined || isSecretName(name)) return variable
  const properties = (await propertiesOf(thread, value.objectId)).slice(0, MAX_PROPERTIES)
  // In a list of raw headers, the name of a secret stands before it.
  return {
    ...variable,
    properties: properties.map((property, index) => {
      const before: unknown = properties[index - 1]?.value?.value
      const named = /^\d+$/.test(property.name) && typeof before === 'string' && isSecretName(before)
      return named
        ? { name: property.name, type: 'string', value: REDACTED }
        : show(property.name, property.value, scrubber)
    })
  }
}

async function propertiesOf({ session }: MainThread, objectId: string): Promise<Runtime.PropertyDescriptor[]> {
  // What a getter would give is not looked at: it could run anything.
  const { result } = await within(session.post('Runtime.getProperties', { objectId, ownProperties: true }))
  return result.filter(({ enumerable, value }) => enumerable && value !== undefined)
}

function show(name: string, value: Runtime.RemoteObject | undefined, scrubber: Scrubber): Variable {
  const type = value?.className ?? value?.subtype ?? value?.type ?? 'unknown'
  const text = value === undefined ? '' : isSecretName(name) ? REDACTED : describe(value, scrubber)
  return { name: scrubber.text(name), type, value: shorten(text) }
}

function describe({ type, value, description, unserializableValue }: Runtime.RemoteObject, scrubber: Scrubber): string {
  const given: unknown = value
  // Before quotes are added: a secret may have some in it.
  if (typeof given === 'string') return JSON.stringify(clean(given, scrubber))
  const text = unserializableValue ?? description ?? String(given)
  return clean(type === 'function' ? (text.split('\n', 1)[0] ?? '') : text, scrubber)
}

/** The thread is stopped meanwhile: of long texts, only what may be shown is looked at. */
function clean(text: string, scrubber: Scrubber): string {
  const rest = text.length - MAX_SCRUBBED
  return rest > 0 ? `${scrubber.text(text.slice(0, MAX_SCRUBBED))}... (${rest} more characters)` : scrubber.text(text)
}

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}... (${text.length} characters)` : text
}
