import { DiagnosticsHeapError } from '../errors.ts'
import { HeapGraph } from './heap-graph.ts'
import { type MainThread, within } from './main-thread.ts'
import { isSecretName, REDACTED, type Scrubber } from './secrets.ts'

const TIMEOUT = 120_000
const TURN = 'new Promise((resolve) => void setImmediate(resolve))'

// How a text of the table is used: as the content of a string, as a constant of the program, as the name of a class, a
// function or a variable, as the key of a property, as a secret.
const CONSTANT = 1
const NAME = 2
const KEY = 4
const SECRET = 8

/**
 * Takes a snapshot of the main thread's heap, which stops it meanwhile. From Node.js 22 on V8 waits for the event loop
 * to turn before it begins, and nothing tells when; so that is waited for here.
 * @throws DiagnosticsHeapError if more than `maxHeap` bytes are in use
 * @throws DiagnosticsTimeoutError if the event loop does not turn within `timeout` milliseconds
 */
export async function takeHeapSnapshot(
  thread: MainThread,
  maxHeap: number,
  timeout: number
): Promise<{ json: string; pausedMs: number }> {
  const used = Number(await thread.evaluate('process.memoryUsage().heapUsed'))
  if (used > maxHeap) throw new DiagnosticsHeapError(used, maxHeap)
  const { session } = thread
  const chunks: string[] = []
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ params }) => void chunks.push(params.chunk))
  await within(session.post('Runtime.evaluate', { expression: TURN, awaitPromise: true }), timeout)
  const from = performance.now()
  await within(session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: false }), TIMEOUT)
  return { json: chunks.join(''), pausedMs: performance.now() - from }
}

/**
 * The same snapshot without secrets. Names (of classes, functions, variables, properties) and constants of the program
 * stay; other strings are data, of clients for the most part, and only their length stays, unless `keepStrings`.
 */
export function scrubSnapshot(json: string, scrubber: Scrubber, keepStrings: boolean): string {
  const graph = new HeapGraph(json)
  const { strings } = graph
  const uses = usesOf(graph)
  const isSecret = (index: number) => ((uses[index] ?? 0) & (SECRET | NAME | CONSTANT)) === SECRET
  const secrets = strings.filter((_text, index) => isSecret(index))
  const all = scrubber.and(secrets.flatMap((secret) => [secret, ...secret.split(/[;,=\s]+/)]).filter(isLong))
  for (const [index, text] of strings.entries()) {
    if (isSecret(index)) strings[index] = REDACTED
    else if (keepStrings || isKept(uses[index] ?? 0, text)) strings[index] = all.text(unnamed(text))
    else strings[index] = `(string of ${text.length})`
  }
  return JSON.stringify(graph)
}

/** Entries of weak maps are named after their keys and values, which may be strings. */
function unnamed(text: string): string {
  return text.replace(/(part of key) .*/s, '$1')
}

function isLong(text: string): boolean {
  return text.length >= 8
}

function isKept(use: number, text: string): boolean {
  if (use & (CONSTANT | NAME)) return true
  // Where an object serves as a dictionary, its keys are data: what does not read like words is not kept.
  return use & KEY ? /^[#$\w ./:-]{1,40}$/.test(text) && !/\d\D*\d/.test(text) : text.length <= 1
}

function usesOf(graph: HeapGraph): Uint8Array {
  const uses = new Uint8Array(graph.strings.length)
  const mark = (index: number, use: number) => {
    uses[index] = (uses[index] ?? 0) | use
  }
  for (let node = 0; node < graph.size; node++) {
    if (graph.kind(node) !== 'string') mark(graph.nameIndex(node), NAME)
    const isPool = graph.kind(node) === 'code' && graph.name(node) === '(constant pool)'
    const isList = graph.kind(node) === 'array'
    let before = ''
    graph.edges(node, (type, name, _index, to) => {
      if (name !== undefined) mark(name, type === 'property' ? KEY : NAME)
      const called = name === undefined ? '' : (graph.strings[name] ?? '')
      if (isPool && graph.kind(to) === 'string') mark(graph.nameIndex(to), CONSTANT)
      // Raw headers are a list of names and values in turn.
      if (isSecretName(called) || (isList && isSecretName(before))) markSecret(graph, to, mark)
      before = graph.kind(to) === 'string' && graph.name(to).length <= 64 ? graph.name(to) : ''
    })
  }
  return uses
}

/** A string that was put together has its parts below it. */
function markSecret(graph: HeapGraph, node: number, mark: (index: number, use: number) => void): void {
  if (graph.kind(node) === 'string') mark(graph.nameIndex(node), SECRET)
  if (graph.kind(node) !== 'concatenated string') return
  graph.edges(node, (_type, _name, _index, to) => markSecret(graph, to, mark))
}
