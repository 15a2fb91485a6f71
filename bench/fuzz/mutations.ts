import { type Draw, pick } from './draw.ts'

const BYTES = [
  ...['\r', '\n', '\r\n', '\n\n', '\r\n\r\n', '\r\n ', ' ', '\t', '\v', ':', ';', ',', '=', '"', '-', '+', '_', '.'],
  ...['\0', '\x01', '\x1f', '\x7f', '\x80', '\xff', '0', '1', '9', 'a', 'F', 'g', 'x', 'Z']
]

/** Damages a message, given as latin1, in one place or a few. */
export function mutate(text: string, draw: Draw): string {
  let mutated = text
  for (let left = 1 + draw(3); left > 0; left--) mutated = mutateOnce(mutated, draw)
  return mutated
}

function mutateOnce(text: string, draw: Draw): string {
  const at = draw(text.length)
  switch (draw(9)) {
    case 0:
      return text.slice(0, at) + pick(draw, BYTES) + text.slice(at)
    case 1:
      return text.slice(0, at) + pick(draw, BYTES) + text.slice(at + 1)
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + draw(4))
    case 3:
      return text.slice(0, at) + text.slice(at, at + draw(20)) + text.slice(at)
    case 4:
      return repeatLine(text, at)
    case 5:
      return dropLine(text, at)
    case 6:
      return flipCase(text, at)
    case 7:
      return text.slice(0, at)
    default:
      return text.slice(0, at) + String.fromCharCode(draw(256)) + text.slice(at + 1)
  }
}

function repeatLine(text: string, at: number): string {
  const start = text.lastIndexOf('\n', at) + 1
  const end = text.indexOf('\n', at) + 1
  return end === 0 ? text : text.slice(0, end) + text.slice(start, end) + text.slice(end)
}

function dropLine(text: string, at: number): string {
  const start = text.lastIndexOf('\n', at) + 1
  const end = text.indexOf('\n', at) + 1
  return text.slice(0, start) + (end === 0 ? '' : text.slice(end))
}

function flipCase(text: string, at: number): string {
  const char = text[at] ?? ''
  const upper = char.toUpperCase()
  return text.slice(0, at) + (char === upper ? char.toLowerCase() : upper) + text.slice(at + 1)
}
