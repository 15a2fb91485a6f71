import type { RouteConfig } from '../../config/index.ts'
import { groupHeaders } from '../forwarding/response-headers.ts'
import { differJson, type PointerPattern, parsePointer } from './json-difference.ts'
import type { ResponseCopy } from './response-copy.ts'

/** One way in which the response of a mirror differs from that of the primary; undefined where a side has nothing. */
export interface Difference {
  readonly at: 'status' | 'header' | 'body'
  /** Name of the header in lower case, or JSON pointer into the body; of a body that is not JSON, `byte N`. */
  readonly path: string
  readonly primary: unknown
  readonly mirror: unknown
}

/** What a comparison led to. */
export interface Compared {
  /** At most 20. */
  readonly differences: readonly Difference[]
  /** False when a body was too large, broke off, or is compressed and not the same byte for byte. */
  readonly whole: boolean
}

export type CompareConfig = NonNullable<RouteConfig['mirrors'][number]['compare']>
export type Compare = (primary: ResponseCopy, mirror: ResponseCopy) => Compared

const MAX_DIFFERENCES = 20
/** What tells of a connection, and of how a body was framed on it. */
const FRAMING = ['connection', 'content-length', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding']
const JSON_TYPE = /^application\/(?:[\w!#$&^.+-]+\+)?json\s*(?:;|$)/i

type Headers = ReadonlyMap<string, string | string[]>

/** Compiles `compare`. */
export function compileComparison({ headers, ignoreHeaders, body, ignorePaths }: CompareConfig): Compare {
  const ignored = new Set([...FRAMING, 'upgrade', ...ignoreHeaders.map((name) => name.toLowerCase())])
  const pointers = ignorePaths.map(parsePointer)
  return (primary, mirror) => {
    const [ours, theirs] = [groupHeaders(primary.head.headers), groupHeaders(mirror.head.headers)]
    const differences = differStatus(primary, mirror)
    if (headers) differences.push(...differHeaders(ours, theirs, ignored))
    const inBody = body ? differBodies(primary.body, mirror.body, [ours, theirs], pointers) : []
    if (inBody !== undefined) differences.push(...inBody)
    return { differences: differences.slice(0, MAX_DIFFERENCES), whole: inBody !== undefined }
  }
}

function differStatus({ head: { status } }: ResponseCopy, { head }: ResponseCopy): Difference[] {
  return status === head.status ? [] : [{ at: 'status', path: '', primary: status, mirror: head.status }]
}

function differHeaders(ours: Headers, theirs: Headers, ignored: ReadonlySet<string>): Difference[] {
  const names = new Set([...ours.keys(), ...theirs.keys()])
  return [...names].flatMap((name) => {
    const [primary, mirror] = [ours.get(name), theirs.get(name)]
    if (ignored.has(name) || String(primary) === String(mirror)) return []
    return [{ at: 'header', path: name, primary, mirror }]
  })
}

/** Undefined when there is no telling. */
function differBodies(
  primary: Buffer | undefined,
  mirror: Buffer | undefined,
  headers: readonly [Headers, Headers],
  ignored: readonly PointerPattern[]
): Difference[] | undefined {
  if (primary === undefined || mirror === undefined) return undefined
  if (primary.equals(mirror)) return []
  // The same content may be compressed in many ways, and finding out costs time that is not a mirror's to take.
  if (headers.some((one) => one.has('content-encoding'))) return undefined
  if (headers.every((one) => JSON_TYPE.test(String(one.get('content-type'))))) {
    const [ours, theirs] = [parseJson(primary), parseJson(mirror)]
    if (ours !== undefined && theirs !== undefined) {
      return differJson(ours, theirs, ignored, MAX_DIFFERENCES).map((found) => ({ at: 'body', ...found }))
    }
  }
  const at = primary.findIndex((byte, index) => byte !== mirror[index])
  const first = at < 0 ? primary.length : at
  return [{ at: 'body', path: `byte ${first}`, primary: primary[first], mirror: mirror[first] }]
}

/** Undefined if it is not JSON, which no JSON stands for. */
function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}
