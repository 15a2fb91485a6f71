/** Numbers from 0 up to, not including, 1: always the same ones for a seed. */
export type Random = () => number

/** sfc32 by Chris Doty-Humphrey, of PractRand; one of many streams of a seed. */
export function createRandom(seed: number, stream: number): Random {
  let [a, b, c, count] = [seed | 0, stream | 0, 0x9e3779b9 | 0, 1]
  const next = (): number => {
    const sum = (((a + b) | 0) + count) | 0
    count = (count + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  for (let round = 0; round < 15; round++) next()
  return next
}

export function exponential(random: Random, mean: number): number {
  return -mean * Math.log(1 - random())
}

/** By the method of Box and Muller; `sigma` is the deviation of the logarithm. */
export function lognormal(random: Random, mean: number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  return mean * Math.exp(sigma * normal - (sigma * sigma) / 2)
}

/** Draws numbers from 0 up to `size` of which the k-th is as frequent as 1 / (k + 1). */
export function createZipf(random: Random, size: number): () => number {
  let sum = 0
  const ends = Float64Array.from({ length: size }, (_, index) => {
    sum += 1 / (index + 1)
    return sum
  })
  return () => {
    const ticket = random() * sum
    const index = ends.findIndex((end) => end > ticket)
    return index < 0 ? size - 1 : index
  }
}
