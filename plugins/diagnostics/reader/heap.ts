import { HeapGraph } from '../heap-graph.ts'
import { printable, showBytes } from './json.ts'
import type { ReadOptions } from './read.ts'

const MAX_OBJECTS = 10
const MAX_PROPERTIES = 30
const SHOWN_TEXT = 120

/** The largest classes; of a class, some objects; of a function, the variables that it closes over. */
export function renderHeap(json: string, { closure, class: className, rows = 20 }: ReadOptions): string {
  const graph = new HeapGraph(json)
  if (closure !== undefined) return renderClosures(graph, closure)
  if (className !== undefined) return renderObjects(graph, className)
  return renderClasses(graph, rows)
}

function renderClasses(graph: HeapGraph, rows: number): string {
  const classes = new Map<string, { count: number; bytes: number }>()
  let bytes = 0
  for (let node = 0; node < graph.size; node++) {
    const kind = graph.kind(node)
    const name = kind === 'object' || kind === 'native' ? graph.name(node) : `(${kind})`
    const entry = classes.get(name) ?? { count: 0, bytes: 0 }
    classes.set(name, entry)
    entry.count++
    entry.bytes += graph.bytes(node)
    bytes += graph.bytes(node)
  }
  const shown = [...classes].sort((a, b) => b[1].bytes - a[1].bytes).slice(0, rows)
  const lines = shown.map(([name, entry]) => {
    return `${String(entry.count).padStart(9)} ${showBytes(entry.bytes).padStart(12)}  ${cut(name)}\n`
  })
  return `${graph.size} objects, ${showBytes(bytes)}\n\n    count        bytes  class\n${lines.join('')}`
}

function renderObjects(graph: HeapGraph, className: string): string {
  const found = nodesOf(graph, 'object', className)
  if (found.length === 0) return `No object is of class ${className}.\n`
  const shown = found.slice(0, MAX_OBJECTS).map((node) => `\n${renderObject(graph, node, '')}`)
  return `${found.length} of class ${className}\n${shown.join('')}`
}

function renderClosures(graph: HeapGraph, name: string): string {
  const found = nodesOf(graph, 'closure', name)
  if (found.length === 0) return `No function is called ${name}.\n`
  return found
    .slice(0, MAX_OBJECTS)
    .map((node) => {
      const variables = contextsOf(graph, node).flatMap((context) => variablesOf(graph, context))
      return `${name} closes over\n${variables.join('') || '  nothing\n'}`
    })
    .join('\n')
}

function nodesOf(graph: HeapGraph, kind: string, name: string): number[] {
  const found: number[] = []
  for (let node = 0; node < graph.size; node++) {
    if (graph.kind(node) === kind && graph.name(node) === name) found.push(node)
  }
  return found
}

/** The context of a function, and those around it. */
function contextsOf(graph: HeapGraph, closure: number): number[] {
  const contexts: number[] = []
  let next: number | undefined = targetOf(graph, closure, 'context')
  while (next !== undefined && !contexts.includes(next)) {
    contexts.push(next)
    next = targetOf(graph, next, 'previous')
  }
  return contexts
}

function targetOf(graph: HeapGraph, node: number, called: string): number | undefined {
  let found: number | undefined
  graph.edges(node, (type, name, _index, to) => {
    if (type === 'internal' && name !== undefined && graph.strings[name] === called) found = to
  })
  return found
}

function variablesOf(graph: HeapGraph, context: number): string[] {
  const lines: string[] = []
  graph.edges(context, (type, name, _index, to) => {
    if (type !== 'context' || name === undefined || lines.length >= MAX_PROPERTIES) return
    lines.push(`  ${cut(graph.strings[name] ?? '')} = ${renderObject(graph, to, '  ')}`)
  })
  return lines
}

function renderObject(graph: HeapGraph, node: number, indent: string): string {
  const lines = [`${describe(graph, node)}\n`]
  if (graph.kind(node) !== 'object') return lines.join('')
  graph.edges(node, (type, name, index, to) => {
    if (lines.length > MAX_PROPERTIES) return
    const key =
      type === 'element' ? `[${index}]` : type === 'property' && name !== undefined ? graph.strings[name] : undefined
    if (key === undefined || key === '__proto__') return
    lines.push(`${indent}  ${cut(key)} = ${describe(graph, to)}\n`)
  })
  return lines.join('')
}

function describe(graph: HeapGraph, node: number): string {
  const [kind, name] = [graph.kind(node), graph.name(node)]
  if (kind === 'string') return JSON.stringify(cut(name))
  if (kind === 'closure') return `function ${cut(name) || '(anonymous)'}`
  return kind === 'object' ? cut(name) : `${cut(name)} (${kind})`
}

function cut(text: string): string {
  const line = printable(text).replaceAll('\n', ' ')
  return line.length > SHOWN_TEXT ? `${line.slice(0, SHOWN_TEXT)}...` : line
}
