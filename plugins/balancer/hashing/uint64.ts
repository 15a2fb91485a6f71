/** A 64-bit unsigned integer that is computed with in place: BigInt would allocate at every step. */
export class Uint64 {
  /** The upper and the lower 32 bits, signed, as bitwise operators leave them. */
  high = 0
  low = 0

  set(high: number, low: number): this {
    this.high = high | 0
    this.low = low | 0
    return this
  }

  copy(other: Uint64): this {
    return this.set(other.high, other.low)
  }

  add(high: number, low: number): this {
    const sum = (this.low + low) | 0
    // The sum wrapped around if it is below what was added; the sign bit is flipped to compare as unsigned.
    const carry = (sum ^ SIGN) < (low ^ SIGN) ? 1 : 0
    this.high = (this.high + high + carry) | 0
    this.low = sum
    return this
  }

  multiply(high: number, low: number): this {
    this.high = (multiplyHigh(this.low, low) + Math.imul(this.high, low) + Math.imul(this.low, high)) | 0
    this.low = Math.imul(this.low, low)
    return this
  }

  xor(other: Uint64): this {
    this.high ^= other.high
    this.low ^= other.low
    return this
  }

  /** Turns it to the left by 1 to 31 bits. */
  rotate(bits: number): this {
    const { high, low } = this
    this.high = (high << bits) | (low >>> (32 - bits))
    this.low = (low << bits) | (high >>> (32 - bits))
    return this
  }

  /** Combines it with itself shifted to the right by 1 to 63 bits. */
  xorShift(bits: number): this {
    const { high } = this
    if (bits >= 32) {
      this.low ^= high >>> (bits - 32)
    } else {
      this.high ^= high >>> bits
      this.low ^= (high << (32 - bits)) | (this.low >>> bits)
    }
    return this
  }

  /** The remainder of a division by an integer up to 2^26. */
  modulo(divisor: number): number {
    const high = (this.high >>> 0) % divisor
    return (high * (0x100000000 % divisor) + ((this.low >>> 0) % divisor)) % divisor
  }
}

const SIGN = 0x80000000 | 0

/** The upper half of the product of two unsigned 32-bit integers, in steps of 16 bits none of which overflows. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = b & 0xffff
  const b1 = b >>> 16
  const middle = (Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16)) >>> 0
  const carry = (Math.imul(a0, b1) + (middle & 0xffff)) >>> 16
  return (Math.imul(a1, b1) + (middle >>> 16) + carry) | 0
}
