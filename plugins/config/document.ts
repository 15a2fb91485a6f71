import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type YAMLError
} from 'yaml'
import type { Fault, FaultPath } from './faults.ts'
import { substitute } from './substitute.ts'

/** Line and column, both from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Something wrong with the file itself, where it stands. */
export interface SyntaxFault {
  readonly message: string
  readonly position: Position
}

/** A YAML or JSON text, read. */
export interface ConfigDocument {
  /** The content with environment variables put in; `undefined` if the syntax leaves it unknown. */
  readonly content: { readonly value: unknown } | undefined
  /** Broken syntax, keys that are there twice, aliases that lead nowhere. */
  readonly syntaxFaults: readonly SyntaxFault[]
  /** References to the environment that cannot be resolved. */
  readonly referenceFaults: readonly Fault[]
  /** Where the fault was written; of something missing, where it should have been. */
  positionOf(fault: Fault): Position
}

// More than any honest file; a file that multiplies aliases of aliases passes it at once.
const MOST_ALIASES = 10_000

// What the parser says of these is meant for programmers.
const CLEARER: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'found a key that the mapping already has, expected each key once',
  MULTIPLE_DOCS: 'found a second document, expected one'
}

/** Reads a text as YAML 1.2, of which JSON is a part. */
export function readDocument(text: string, env: NodeJS.ProcessEnv): ConfigDocument {
  const lines = new LineCounter()
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const locate = ({ message, offset }: Slip): SyntaxFault => ({ message, position: position(offset) })

  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const errors = document.errors.filter((error) => !isConsequence(error, document.errors))
  const syntaxFaults = [...errors, ...document.warnings].map(({ code, message, pos }) =>
    locate({ message: CLEARER[code] ?? message, offset: pos[0] })
  )
  const referenceFaults: Fault[] = []
  let content: ConfigDocument['content']
  if (document.errors.every(({ code }) => code === 'DUPLICATE_KEY')) {
    const unsafe = findUnsafe(document)
    syntaxFaults.push(...unsafe.map(locate))
    substituteAll(document, env, referenceFaults)
    if (unsafe.length === 0) content = toContent(document, (slip) => syntaxFaults.push(locate(slip)))
  }
  return { content, syntaxFaults, referenceFaults, positionOf: (fault) => position(offsetOf(document, fault)) }
}

interface Slip {
  readonly message: string
  readonly offset: number
}

// After its first error the parser has lost the thread, and what it says of the rest only misleads.
function isConsequence(error: YAMLError, errors: readonly YAMLError[]): boolean {
  return error.code !== 'DUPLICATE_KEY' && error !== errors.find(({ code }) => code !== 'DUPLICATE_KEY')
}

/** Aliases that have no value, or that stand within it; and the one key that JavaScript does not treat as data. */
function findUnsafe(document: Document): Slip[] {
  const slips: Slip[] = []
  visit(document, {
    Alias(_, alias, ancestors) {
      const node = alias.resolve(document)
      const offset = alias.range?.[0] ?? 0
      if (node === undefined) slips.push({ message: `Unknown alias '*${alias.source}'`, offset })
      else if (ancestors.some((ancestor) => ancestor === node)) {
        slips.push({ message: `Alias '*${alias.source}' stands within its own value`, offset })
      }
    },
    Pair(_, { key }) {
      if (isScalar(key) && key.value === '__proto__') {
        slips.push({ message: "'__proto__' cannot be a key", offset: key.range?.[0] ?? 0 })
      }
    }
  })
  return slips
}

function toContent(document: Document, refuse: (slip: Slip) => void): ConfigDocument['content'] {
  try {
    return { value: document.toJS({ maxAliasCount: MOST_ALIASES }) }
  } catch (error) {
    refuse({ message: error instanceof Error ? error.message : String(error), offset: 0 })
    return undefined
  }
}

function substituteAll(document: Document, env: NodeJS.ProcessEnv, faults: Fault[]): void {
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key' || typeof node.value !== 'string') return
      const result = substitute(node.value, env)
      if ('value' in result) node.value = result.value
      else faults.push({ path: pathOf(node, ancestors), at: 'value', message: result.message })
    }
  })
}

function pathOf(node: unknown, ancestors: readonly unknown[]): FaultPath {
  const path: PropertyKey[] = []
  for (const [depth, ancestor] of ancestors.entries()) {
    if (isPair(ancestor)) path.push(keyText(ancestor.key))
    if (isSeq(ancestor)) path.push(ancestor.items.indexOf(ancestors[depth + 1] ?? node))
  }
  return path
}

/** Where a fault was written; for something missing, where its nearest surroundings begin. */
function offsetOf(document: Document, { path, at }: Fault): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => keyText(key) === String(step))
      if (pair === undefined) break
      if (at === 'key' && depth === path.length - 1) return startOf(pair.key) ?? offset
      node = pair.value
      offset = startOf(node) ?? startOf(pair.key) ?? offset
    } else if (isSeq(node)) {
      node = node.items[Number(step)]
      offset = startOf(node) ?? offset
    } else {
      break
    }
  }
  return offset
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? '') : String(key)
}
