import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { parseDuration, parseSize } from '../units.ts'
import { oneOf } from './faults.ts'

/** A token of RFC 9110, section 5.6.2: what methods, header names and cookie names are made of. */
export const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

/** What the reference says of a value's type. */
export const types = z.registry<{ type: string }>()

interface Leaf<Output> {
  /** The type as the reference shows it. */
  type: string
  /** What a fault says was expected. */
  expected: string
  /** The value as the snapshot holds it; `undefined` if it is not acceptable. */
  parse: (value: unknown) => Output | undefined
  /** For a value that is refused because of something within it: where that is, and what was expected there. */
  blame?: ((value: unknown) => { path: string[]; expected: string } | undefined) | undefined
  /** Names among which the nearest is offered for a misspelling. */
  known?: readonly string[]
}

/** The schema of a single value. `Input` is what one may write. */
export function leaf<Input, Output>({ type, expected, parse, blame, known }: Leaf<Output>) {
  const schema = z.custom<Input>().transform((value, context): Output => {
    const parsed = parse(value)
    if (parsed !== undefined) return parsed
    const part = blame?.(value) ?? { path: [], expected }
    context.issues.push({ code: 'custom', input: value, path: part.path, message: part.expected, params: { known } })
    return z.NEVER
  })
  return schema.register(types, { type })
}

/** The schema of a mapping with known keys, each of them described. */
export function mapping<Shape extends z.ZodRawShape>(shape: Shape, expected = 'a mapping') {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(', ') : expected)
  })
}

/** The schema of a mapping with free keys that have the form of `key`. */
export function record<Value extends z.ZodType>(key: RegExp, keyExpected: string, value: Value) {
  return z.record(z.string().regex(key), value, {
    error: (issue) => (issue.code === 'invalid_key' ? keyExpected : 'a mapping')
  })
}

export function list<Item extends z.ZodType>(item: Item) {
  return z.array(item, { error: 'a list' })
}

/** A string of a given form; without a form, any but the empty one. */
export function text(expected: string, form = /./s, type = 'string') {
  return leaf<string, string>({
    type,
    expected,
    parse: (value) => (typeof value === 'string' && form.test(value) ? value : undefined)
  })
}

/** One of a closed list of names. */
export function name<const Name extends string>(names: readonly Name[]) {
  return leaf<Name, Name>({
    type: names.map((known) => `\`${known}\``).join(', '),
    expected: oneOf(names),
    known: names,
    parse: (value) => names.find((known) => known === value)
  })
}

/** A whole number, 0 or more. */
export function count() {
  return leaf<number, number>({
    type: 'whole number',
    expected: 'a whole number, 0 or more',
    parse: (value) => (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined)
  })
}

/** A number of processes; `auto` is one for each processor that may be used. */
export function processes() {
  return leaf<number | string, number>({
    type: '`auto`, or a whole number',
    expected: 'auto, or a whole number, 1 or more',
    known: ['auto'],
    parse: (value) => {
      if (value === 'auto') return availableParallelism()
      const number = typeof value === 'string' && /^\d{1,4}$/.test(value) ? Number(value) : value
      return typeof number === 'number' && Number.isSafeInteger(number) && number >= 1 ? number : undefined
    }
  })
}

/** A whole number, 1 or more. */
export function positiveCount() {
  return leaf<number, number>({
    type: 'whole number',
    expected: 'a whole number, 1 or more',
    parse: (value) => (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined)
  })
}

/** A part of a whole. */
export function share() {
  return leaf<number, number>({
    type: 'number',
    expected: 'a number from 0 to 1',
    parse: (value) => (typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined)
  })
}

/** A port that can be connected to. */
export function port() {
  return leaf<number, number>({
    type: 'port',
    expected: 'a port from 1 to 65535',
    parse: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536 ? value : undefined
  })
}

/** A number that may have a fraction, but not 0. */
export function positive() {
  return leaf<number, number>({
    type: 'number',
    expected: 'a number, more than 0',
    parse: (value) => (typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : undefined)
  })
}

/** A number that may have a fraction, also 0. */
export function amount() {
  return leaf<number, number>({
    type: 'number',
    expected: 'a number, 0 or more',
    parse: (value) => (typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined)
  })
}

/** How many of a hundred; fractions are allowed. */
export function percent() {
  return leaf<number, number>({
    type: 'number',
    expected: 'a number from 0 to 100',
    parse: (value) => (typeof value === 'number' && value >= 0 && value <= 100 ? value : undefined)
  })
}

/** A whole number, also a negative one. */
export function integer() {
  return leaf<number, number>({
    type: 'whole number',
    expected: 'a whole number',
    parse: (value) => (typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined)
  })
}

export function flag() {
  return leaf<boolean, boolean>({
    type: 'boolean',
    expected: 'true or false',
    parse: (value) => (typeof value === 'boolean' ? value : undefined)
  })
}

/** In milliseconds. */
export function duration() {
  return leaf<string | number, number>({
    type: 'duration',
    expected: 'a duration such as 250ms, 10s, 5m, or a number of milliseconds',
    parse: parseDuration
  })
}

/** In milliseconds, and more than none. */
export function positiveDuration() {
  return leaf<string | number, number>({
    type: 'duration',
    expected: 'a duration above 0 such as 250ms, 10s, 5m, or a number of milliseconds',
    parse: (value) => parseDuration(value) || undefined
  })
}

/** In bytes. */
export function size() {
  return leaf<string | number, number>({
    type: 'size',
    expected: 'a size such as 512b, 64kb, 1mb, or a number of bytes',
    parse: parseSize
  })
}

/** The source of a regular expression. */
export function pattern() {
  return leaf<string, string>({
    type: 'regular expression',
    expected: 'a regular expression',
    parse: (value) => (typeof value === 'string' && compiles(value) ? value : undefined)
  })
}

function compiles(source: string): boolean {
  try {
    new RegExp(source)
    return true
  } catch {
    return false
  }
}
