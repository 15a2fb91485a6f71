import { createHmac, timingSafeEqual } from 'node:crypto'

/** The first bytes of the HMAC-SHA256 of a text, in base64url. */
export function hmac(secret: string, text: string, bytes: number): string {
  return createHmac('sha256', secret).update(text).digest().subarray(0, bytes).toString('base64url')
}

/** Compares in a time that does not tell how much is right. */
export function equalInConstantTime(given: Buffer, expected: Buffer): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected)
}
