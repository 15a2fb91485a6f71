import { InvalidJsonError, InvalidResultError } from '../errors.ts'
import { fieldOf } from './schema.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })
/** Text that may have a field of that name, escaped in whatever way. */
const SUSPECT = /__proto__|\\u00/i
const JSON_TYPE = /^(?:application\/(?:json|octet-stream)|[\w.+-]+\/[\w.+-]+\+json)\s*(?:;|$)/i

/** Whether a body of that type is read as JSON. Function Compute sends events as octets. */
export function isJsonType(contentType: string | undefined): boolean {
  return contentType === undefined || JSON_TYPE.test(contentType)
}

/** Reads JSON in UTF-8. Throws InvalidJsonError. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    const text = decoder.decode(bytes)
    return SUSPECT.test(text) ? JSON.parse(text, refusePrototype) : JSON.parse(text)
  } catch (error) {
    throw new InvalidJsonError(error instanceof Error ? error.message : String(error))
  }
}

/** A field that would become the prototype of what it is copied to. */
function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new SyntaxError("field '__proto__' is not allowed")
  return value
}

/**
 * Writes JSON, and says so where a value has no form in it, instead of leaving it out or writing something else as
 * JSON.stringify does. Throws InvalidResultError, which names the field. Fields that are undefined are left out.
 */
export function writeJson(value: unknown): string {
  const fault = findUnwritable(value, '', new Set())
  if (fault !== undefined) throw new InvalidResultError(fault)
  return JSON.stringify(value)
}

function findUnwritable(value: unknown, at: string, parents: Set<object>): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : fault(at, `${value} has no form in JSON`)
    case 'object':
      return value === null ? undefined : findInObject(value, at, parents)
    default:
      return fault(at, `a value of type ${typeof value} has no form in JSON`)
  }
}

function findInObject(value: object, at: string, parents: Set<object>): string | undefined {
  if (parents.has(value)) return fault(at, 'refers to something it is part of')
  parents.add(value)
  const found = findInFields(value, at, parents)
  parents.delete(value)
  return found
}

function findInFields(value: object, at: string, within: Set<object>): string | undefined {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const found = findUnwritable(item, fieldOf(at, index), within)
      if (found !== undefined) return found
    }
    return undefined
  }
  if (isOpaque(value)) return fault(at, `${value.constructor.name} has no form in JSON`)
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return value instanceof Date && Number.isNaN(value.getTime()) ? fault(at, 'is no date') : undefined
  }
  for (const [key, item] of Object.entries(value)) {
    const found = item === undefined ? undefined : findUnwritable(item, fieldOf(at, key), within)
    if (found !== undefined) return found
  }
  return undefined
}

/** What JSON.stringify takes for an empty object, or for something else than it is. */
function isOpaque(value: object): boolean {
  return (
    value instanceof Map ||
    value instanceof Set ||
    value instanceof WeakMap ||
    value instanceof WeakSet ||
    value instanceof Promise ||
    value instanceof RegExp ||
    value instanceof Error ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value)
  )
}

function fault(at: string, reason: string): string {
  return at === '' ? reason : `${at}: ${reason}`
}
