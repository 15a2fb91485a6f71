/** `protocol-name [ "/" protocol-version ]`, both tokens (RFC 9110, section 7.8). */
const PROTOCOL = /^[\w!#$%&'*+.^`|~-]+(?:\/[\w!#$%&'*+.^`|~-]+)?$/

/** The protocols of an Upgrade header, as written; undefined where it does not follow the grammar, or names none. */
export function readProtocols(upgrade: string): string[] | undefined {
  // Empty elements of a list say nothing (RFC 9110, section 5.6.1.2).
  const protocols = upgrade
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  return protocols.length > 0 && protocols.every((item) => PROTOCOL.test(item)) ? protocols : undefined
}

/**
 * The protocol that a 101 (Switching Protocols) switches to; undefined when its headers do not say so properly, or name
 * one that was not asked for.
 */
export function switchedTo(asked: string, headers: readonly string[]): string | undefined {
  const answered = upgradeOf(headers)
  const options = joined(headers, 'connection')?.toLowerCase().split(',') ?? []
  if (answered === undefined || !options.some((option) => option.trim() === 'upgrade')) return undefined
  const known = readProtocols(asked.toLowerCase()) ?? []
  const chosen = readProtocols(answered.toLowerCase())
  return chosen?.every((protocol) => known.includes(protocol)) === true ? answered : undefined
}

/** The Upgrade header in flat pairs. */
export function upgradeOf(headers: readonly string[]): string | undefined {
  return joined(headers, 'upgrade')
}

function joined(headers: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== name) continue
    value = value === undefined ? headers[i + 1] : `${value}, ${headers[i + 1]}`
  }
  return value
}
