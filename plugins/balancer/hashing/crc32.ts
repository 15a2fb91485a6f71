/** CRC-32 (IEEE 802.3, reflected), as nginx computes it, with the state open so that it can be continued. */

const POLYNOMIAL = 0xedb88320
const TABLE = buildTable()

/** The state before the first byte. */
export const CRC32_INITIAL = 0xffffffff

/** Continues with a string of bytes. A code unit above 0xff, which no HTTP header holds, counts as two bytes. */
export function updateCrc32(state: number, bytes: string): number {
  let crc = state
  for (let index = 0; index < bytes.length; index++) {
    const code = bytes.charCodeAt(index)
    crc = updateByte(crc, code)
    if (code > 0xff) crc = updateByte(crc, code >>> 8)
  }
  return crc
}

/** Continues with an unsigned 32-bit integer, low byte first. */
export function updateCrc32Word(state: number, word: number): number {
  const low = updateByte(updateByte(state, word), word >>> 8)
  return updateByte(updateByte(low, word >>> 16), word >>> 24)
}

/** The checksum of the bytes so far, as an unsigned 32-bit integer. */
export function finishCrc32(state: number): number {
  return ~state >>> 0
}

/** The checksum of a string of bytes, as an unsigned 32-bit integer. */
export function crc32(bytes: string): number {
  return finishCrc32(updateCrc32(CRC32_INITIAL, bytes))
}

function updateByte(state: number, byte: number): number {
  return (TABLE[(state ^ byte) & 0xff] ?? 0) ^ (state >>> 8)
}

function buildTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL
    return crc
  })
}
