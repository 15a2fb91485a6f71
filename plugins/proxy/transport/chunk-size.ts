import { BadResponseError } from '../../errors.ts'

const CR = 13

/** `*( ";" name [ "=" ( token | quoted-string ) ] )` (RFC 9112, section 7.1.1), without blanks around `;` and `=`. */
const EXTENSIONS =
  /^(?:;[\w!#$%&'*+.^`|~-]+(?:=(?:[\w!#$%&'*+.^`|~-]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*$/

/** Hexadecimal size of a chunk line `SIZE[;extension]CR` that ends before `lineFeed`; extensions are dropped. */
export function readChunkSize(data: Buffer, at: number, lineFeed: number): number {
  const end = lineFeed - 1
  if (end <= at || data[end] !== CR) throw new BadResponseError('bad chunk size line')
  let size = 0
  let i = at
  for (; i < end; i++) {
    const digit = hexDigit(data[i] ?? 0)
    if (digit < 0) break
    size = size * 16 + digit
    if (size > Number.MAX_SAFE_INTEGER) throw new BadResponseError('chunk size too large')
  }
  if (i === at || (i < end && data[i] !== 59)) throw new BadResponseError('bad chunk size')
  if (i < end && !EXTENSIONS.test(data.toString('latin1', i, end))) throw new BadResponseError('bad chunk extension')
  return size
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}
