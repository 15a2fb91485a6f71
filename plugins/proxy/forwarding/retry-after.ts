/**
 * Milliseconds that a response asks to wait by `Retry-After`, in either of its forms (RFC 9110, section 10.2.3); undefined
 * when it does not, or not in a way that can be understood.
 *
 * @param pairs flat headers of the response
 * @param now milliseconds since the epoch
 */
export function readRetryAfter(pairs: readonly string[], now: number): number | undefined {
  for (let i = 0; i < pairs.length; i += 2) {
    const name = pairs[i] ?? ''
    if (name.length !== 11 || name.toLowerCase() !== 'retry-after') continue
    const value = pairs[i + 1] ?? ''
    if (/^\d+$/.test(value)) return Number(value) * 1000
    // The oldest of the three forms names no zone; all of them are in GMT.
    const date = HTTP_DATE.test(value) ? Date.parse(value.endsWith(' GMT') ? value : `${value} GMT`) : Number.NaN
    return Number.isNaN(date) ? undefined : Math.max(0, date - now)
  }
  return undefined
}

/** All three forms of RFC 9110, section 5.6.7, begin with the name of a day; `Date.parse` would take much more. */
const HTTP_DATE = /^(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? /
