import { createRandom } from '../simulate/random.ts'

/** A whole number from 0 up to, not including, `below`. */
export type Draw = (below: number) => number

/** Always the same numbers for a seed; streams of one seed have nothing in common. */
export function createDraw(seed: number, stream: number): Draw {
  const random = createRandom(seed, stream)
  return (below) => Math.floor(random() * below)
}

export function pick(draw: Draw, items: readonly string[]): string {
  return items[draw(items.length)] ?? ''
}

/** True once in `times`. */
export function rarely(draw: Draw, times: number): boolean {
  return draw(times) === 0
}
