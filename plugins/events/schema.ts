import { InvalidEventError, InvalidResultError } from '../errors.ts'

/**
 * A schema of any library that follows Standard Schema, as Zod, Valibot and ArkType do.
 *
 * @see https://standardschema.dev
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What a value is after the schema has taken it. */
export type OutputOf<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['output']
/** What a value must be for the schema to take it. */
export type InputOf<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>['input']

/** The event as its handler gets it. Throws InvalidEventError, which names the field. */
export async function checkEvent(schema: StandardSchema, event: unknown): Promise<unknown> {
  const checked = await check(schema, event)
  if (typeof checked === 'string') throw new InvalidEventError(checked)
  return checked.value
}

/** The result as it leaves. Throws InvalidResultError, which names the field. */
export async function checkResult(schema: StandardSchema, result: unknown): Promise<unknown> {
  const checked = await check(schema, result)
  if (typeof checked === 'string') throw new InvalidResultError(checked)
  return checked.value
}

async function check(schema: StandardSchema, value: unknown): Promise<{ value: unknown } | string> {
  const result = await schema['~standard'].validate(value)
  if (result.issues !== undefined) return result.issues.map(describe).join('; ')
  const lost = findLost(value, result.value, '')
  return lost === undefined ? { value: result.value } : `${lost}: is not part of the schema`
}

function describe({ message, path = [] }: SchemaIssue): string {
  let field = ''
  for (const part of path) field = fieldOf(field, typeof part === 'object' ? part.key : part)
  return field === '' ? message : `${field}: ${message}`
}

/**
 * The first field that the schema has dropped. Many schemas drop what they do not know without a word, Zod's `object()`
 * among them, and a sender that misspells an optional field would never hear of it.
 */
function findLost(before: unknown, after: unknown, at: string): string | undefined {
  if (before === after) return undefined
  if (Array.isArray(before) && Array.isArray(after)) {
    for (const [index, item] of before.entries()) {
      const lost = index < after.length ? findLost(item, after[index], `${at}[${index}]`) : `${at}[${index}]`
      if (lost !== undefined) return lost
    }
    return undefined
  }
  if (!isPlain(before) || !isPlain(after)) return undefined
  for (const [key, item] of Object.entries(before)) {
    const field = fieldOf(at, key)
    if (item === undefined) continue
    if (!Object.hasOwn(after, key)) return field
    const lost = findLost(item, Reflect.get(after, key), field)
    if (lost !== undefined) return lost
  }
  return undefined
}

export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** `items[2].name`, as Go's encoding/json and people write it. */
export function fieldOf(parent: string, key: PropertyKey): string {
  if (typeof key === 'number') return `${parent}[${key}]`
  return parent === '' ? String(key) : `${parent}.${String(key)}`
}
