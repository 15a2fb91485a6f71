import type { Allowed, Count, Outcome, RawCase } from './raw-case-types.ts'
import type { SeenResponse } from './response-reader.ts'
import type { SeenRequest } from './strict-request-reader.ts'

/** What both ends have seen of a case. */
export interface Observation {
  readonly answers: readonly SeenResponse[]
  /** Whether the gateway closed the connection of the client. */
  readonly closed: boolean
  /** All bytes that the client received, and the target; one character a byte. */
  readonly clientText: string
  readonly targetText: string
  readonly requests: readonly SeenRequest[]
  readonly connections: number
  readonly aborted: boolean
}

/** An observation in the words of a case. */
export function outcomeOf({ answers, closed, requests }: Observation): Required<Outcome> {
  const words = answers.map(({ status, complete }) => `${status}${complete ? '' : '!'}`)
  if (closed) words.push('closed')
  const outcome = words
    .join(' ')
    .replace(/\b(\d{3})(?: \1){3,}/, (run, status) => `${status} x ${run.split(' ').length}`)
  const forwarded = requests.map(({ method, target, complete }) => `${method} ${target}${complete ? '' : '!'}`)
  return { outcome: outcome || 'nothing', forwarded }
}

/** Whether an observation is what the case expects. */
export function isOutcome(seen: Observation, { outcome, forwarded, otherwise }: RawCase): boolean {
  const actual = outcomeOf(seen)
  const expected = [{ outcome, forwarded }, ...(otherwise === undefined ? [] : [otherwise])]
  return expected.some(
    ({ outcome, forwarded = [] }) => outcome === actual.outcome && forwarded.join('\n') === actual.forwarded.join('\n')
  )
}

/** What in an observation the source of the case does not allow. */
export function complaints(allowed: Allowed, seen: Observation): string[] {
  const [first] = seen.answers
  const lines = seen.requests.map(({ method, target }) => `${method} ${target}`)
  const checks: [unknown, boolean, string][] = [
    [allowed.status, allowed.status?.some((status) => isStatus(status, seen)) === true, `status ${first?.status}`],
    [allowed.answers, fits(seen.answers.length, allowed.answers), `${seen.answers.length} answers`],
    [allowed.requests, fits(lines.length, allowed.requests), `${lines.length} requests`],
    [allowed.noRequest, !allowed.noRequest?.some((text) => lines.join('\n').includes(text)), `requests ${lines}`],
    [allowed.targetBody, isBody(allowed.targetBody, seen.requests[0]?.body), 'body at the target'],
    [allowed.clientBody, isBody(allowed.clientBody, first?.body), 'body at the client'],
    [allowed.closed, seen.closed, 'not closed'],
    [allowed.complete, first?.complete === true, 'not complete'],
    [allowed.truncated, first === undefined || !first.complete || first.status >= 500, 'looks complete'],
    [allowed.aborted, seen.aborted, 'the target is not told that the client left'],
    [allowed.connections, seen.connections <= (allowed.connections ?? 0), `${seen.connections} connections`],
    [allowed.oneOf, allowed.oneOf?.some((one) => complaints(one, seen).length === 0) === true, 'none of several']
  ]
  return [
    ...checks.filter(([asked, held]) => asked !== undefined && !held).map(([, , complaint]) => complaint),
    ...missing(allowed.targetSees, seen.targetText).map((text) => `the target misses ${text}`),
    ...missing(allowed.clientSees, seen.clientText).map((text) => `the client misses ${text}`),
    ...present(allowed.targetMisses, seen.targetText).map((text) => `the target sees ${text}`),
    ...present(allowed.clientMisses, seen.clientText).map((text) => `the client sees ${text}`)
  ]
}

function isStatus(wanted: number | string, { answers: [first], closed }: Observation): boolean {
  if (wanted === 'close') return first === undefined && closed
  if (wanted === 'nothing') return first === undefined && !closed
  if (typeof wanted === 'number') return first?.status === wanted
  return first !== undefined && `${Math.floor(first.status / 100)}xx` === wanted
}

function isBody(wanted: string | number | undefined, body: string | undefined): boolean {
  return typeof wanted === 'number' ? body?.length === wanted : body === wanted
}

function fits(count: number, { least = 0, most = Number.POSITIVE_INFINITY }: Count = {}): boolean {
  return count >= least && count <= most
}

function missing(texts: readonly string[] = [], where: string): string[] {
  return texts.filter((text) => !occurs(text, where))
}

function present(texts: readonly string[] = [], where: string): string[] {
  return texts.filter((text) => occurs(text, where))
}

function occurs(text: string, where: string): boolean {
  const [, pattern, flags] = /^\/(.*)\/([im]*)$/.exec(text) ?? []
  if (pattern !== undefined) return new RegExp(pattern, flags).test(where)
  return where.toLowerCase().includes(text.toLowerCase())
}
