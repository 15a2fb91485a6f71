import { Uint64 } from './uint64.ts'

const P1_HIGH = 0x9e3779b1 | 0
const P1_LOW = 0x85ebca87 | 0
const P2_HIGH = 0xc2b2ae3d | 0
const P2_LOW = 0x27d4eb4f
const P3_HIGH = 0x165667b1
const P3_LOW = 0x9e3779f9 | 0
const P4_HIGH = 0x85ebca77 | 0
const P4_LOW = 0xc2b2ae63 | 0
const P5_HIGH = 0x27d4eb2f
const P5_LOW = 0x165667c5

/**
 * XXH64 of strings of bytes; a code unit above 0xff, which no HTTP header holds, counts as two bytes. The result stays
 * until the next call, and nothing is allocated for it.
 *
 * @see https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
export class Xxh64 {
  readonly result = new Uint64()
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #length = 0
  readonly #lane = new Uint64()
  readonly #input = new Uint64()
  readonly #lanes = [new Uint64(), new Uint64(), new Uint64(), new Uint64()] as const

  /** @param seed from 0 to 2^31 - 1 */
  hash(text: string, seed = 0): Uint64 {
    this.#read(text)
    const length = this.#length
    const { result } = this
    const lane = this.#lane
    let at = 0
    if (length >= 32) at = this.#hashStripes(seed)
    else result.set(P5_HIGH, P5_LOW).add(0, seed)
    result.add(0, length)
    for (; at + 8 <= length; at += 8) {
      result
        .xor(this.#round(lane.set(0, 0), at))
        .rotate(27)
        .multiply(P1_HIGH, P1_LOW)
        .add(P4_HIGH, P4_LOW)
    }
    if (at + 4 <= length) {
      lane.set(0, this.#word(at)).multiply(P1_HIGH, P1_LOW)
      result.xor(lane).rotate(23).multiply(P2_HIGH, P2_LOW).add(P3_HIGH, P3_LOW)
      at += 4
    }
    for (; at < length; at++) {
      lane.set(0, this.#bytes[at] ?? 0).multiply(P5_HIGH, P5_LOW)
      result.xor(lane).rotate(11).multiply(P1_HIGH, P1_LOW)
    }
    result.xorShift(33).multiply(P2_HIGH, P2_LOW).xorShift(29).multiply(P3_HIGH, P3_LOW).xorShift(32)
    return result
  }

  /** All whole stripes of 32 bytes, in four lanes. Gives the place behind them. */
  #hashStripes(seed: number): number {
    const [first, second, third, fourth] = this.#lanes
    first.set(P1_HIGH, P1_LOW).add(P2_HIGH, P2_LOW).add(0, seed)
    second.set(P2_HIGH, P2_LOW).add(0, seed)
    third.set(0, seed)
    // Minus P1, in two's complement.
    fourth.set(~P1_HIGH, -P1_LOW).add(0, seed)
    let at = 0
    for (; at + 32 <= this.#length; at += 32) {
      this.#round(first, at)
      this.#round(second, at + 8)
      this.#round(third, at + 16)
      this.#round(fourth, at + 24)
    }
    const { result } = this
    const lane = this.#lane
    result.set(0, 0)
    for (let index = 0; index < 4; index++) {
      const { high, low } = lane.copy(this.#lanes[index] ?? first).rotate([1, 7, 12, 18][index] ?? 1)
      result.add(high, low)
    }
    for (const each of this.#lanes) {
      lane.copy(each).multiply(P2_HIGH, P2_LOW).rotate(31).multiply(P1_HIGH, P1_LOW)
      result.xor(lane).multiply(P1_HIGH, P1_LOW).add(P4_HIGH, P4_LOW)
    }
    return at
  }

  /** Takes eight bytes into a lane. */
  #round(lane: Uint64, at: number): Uint64 {
    const { high, low } = this.#input.set(this.#word(at + 4), this.#word(at)).multiply(P2_HIGH, P2_LOW)
    return lane.add(high, low).rotate(31).multiply(P1_HIGH, P1_LOW)
  }

  #read(text: string): void {
    if (text.length * 2 > this.#bytes.length) {
      this.#bytes = new Uint8Array(text.length * 4)
      this.#view = new DataView(this.#bytes.buffer)
    }
    const bytes = this.#bytes
    let length = 0
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      bytes[length++] = code
      if (code > 0xff) bytes[length++] = code >>> 8
    }
    this.#length = length
  }

  #word(at: number): number {
    return this.#view.getInt32(at, true)
  }
}
