import { CONNECTION_FIELDS, SOLE_FIELDS } from '../../http2-fields.ts'
import type { TransportRequest } from '../types.ts'

/** Values by name in lower case; names that occur again have a list. */
export type Fields = Record<string, string | string[]>

/** Fields that the transport sets itself. */
const OWN = new Set(['content-length', 'host'])

/** The pseudo-header fields and fields of a request, framing included. */
export function requestFields({ method, path, target, headers, body, expectContinue }: TransportRequest): Fields {
  const fields: Fields = Object.create(null)
  fields[':method'] = method
  fields[':scheme'] = target.protocol === 'https:' ? 'https' : 'http'
  fields[':authority'] = target.authority
  fields[':path'] = path
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase()
    const value = headers[i + 1] ?? ''
    if (name === 'host') fields[':authority'] = value
    else addField(fields, name, value)
  }
  if (body !== undefined && body.length >= 0) fields['content-length'] = String(body.length)
  if (expectContinue) fields.expect = '100-continue'
  return fields
}

export function trailerFields(pairs: readonly string[]): Fields {
  const fields: Fields = Object.create(null)
  for (let i = 0; i < pairs.length; i += 2) addField(fields, (pairs[i] ?? '').toLowerCase(), pairs[i + 1] ?? '')
  return fields
}

function addField(fields: Fields, name: string, value: string): void {
  if (CONNECTION_FIELDS.has(name) || OWN.has(name) || (name === 'te' && value !== 'trailers')) return
  const known = fields[name]
  if (known === undefined) fields[name] = value
  else if (Array.isArray(known)) known.push(value)
  // RFC 9113, section 8.2.3.
  else if (name === 'cookie') fields[name] = `${known}; ${value}`
  // As any recipient may do (RFC 9110, section 5.3).
  else if (SOLE_FIELDS.has(name)) fields[name] = `${known}, ${value}`
  else if (name !== 'te') fields[name] = [known, value]
}
