import { isPlain } from '../schema.ts'

/** Whether the platform has decoded the parameters of a query, or passes them on as they were written. */
export type QueryCoding = 'decoded' | 'as-written'

/** Names and values of parameters, each occurrence by itself. */
export function parameters(mapping: unknown): [name: string, value: string][] {
  if (!isPlain(mapping)) return []
  return Object.entries(mapping).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values])
      .filter((value) => value !== undefined && value !== null)
      .map((value): [string, string] => [name, String(value)])
  )
}

/** A query with its question mark; empty without parameters. */
export function writeQuery(pairs: readonly (readonly [name: string, value: string])[], coding: QueryCoding): string {
  if (pairs.length === 0) return ''
  if (coding === 'as-written') return `?${pairs.map(([name, value]) => `${name}=${value}`).join('&')}`
  return `?${pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')}`
}

/** Percent-encoded; half a surrogate pair, which is no text, as U+FFFD. */
export function encode(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString())
}
