import { isIPv6 } from 'node:net'

/**
 * Writes the bytes of an IP address that stand for the client's network, as nginx's `ip_hash` takes them: the first
 * three of IPv4, all sixteen of IPv6. An IPv4 address in IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
 * @returns the number of bytes; 0 when the text is no address
 */
export function readNetwork(address: string, bytes: Uint8Array): number {
  if (!address.includes(':')) return readIPv4(address, bytes, 0) ? 3 : 0
  if (!isIPv6(address)) return 0
  readIPv6(address, bytes)
  if (!isMapped(bytes)) return 16
  bytes.copyWithin(0, 12, 15)
  return 3
}

function readIPv4(address: string, bytes: Uint8Array, at: number): boolean {
  let octets = 0
  let octet = -1
  for (let index = 0; index <= address.length; index++) {
    const digit = address.charCodeAt(index) - 48
    if (digit >= 0 && digit <= 9) {
      octet = Math.max(octet, 0) * 10 + digit
      continue
    }
    if (octet < 0 || octet > 255 || octets === 4 || (index < address.length && address[index] !== '.')) return false
    bytes[at + octets++] = octet
    octet = -1
  }
  return octets === 4
}

/** The address must be valid. What stands behind `::` is moved to the end. */
function readIPv6(address: string, bytes: Uint8Array): void {
  const [text = ''] = address.split('%')
  const [head = '', tail] = text.split('::')
  const length = readGroups(head, bytes, 0)
  bytes.fill(0, length)
  if (tail === undefined) return
  const end = readGroups(tail, bytes, length)
  bytes.copyWithin(16 - (end - length), length, end)
  bytes.fill(0, length, 16 - (end - length))
}

function readGroups(groups: string, bytes: Uint8Array, start: number): number {
  let at = start
  if (groups === '') return at
  for (const group of groups.split(':')) {
    if (group.includes('.')) {
      readIPv4(group, bytes, at)
      at += 4
    } else {
      const value = Number.parseInt(group, 16)
      bytes[at++] = value >>> 8
      bytes[at++] = value & 0xff
    }
  }
  return at
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
}
