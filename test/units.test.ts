import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDuration, parseSize } from '../plugins/units.ts'

const durations: [value: unknown, milliseconds: number | undefined][] = [
  ['250ms', 250],
  ['10s', 10_000],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['1500', 1500],
  [1500, 1500],
  [0, 0],
  ['0', 0],
  [2 ** 31 - 1, 2 ** 31 - 1],
  [2 ** 31, undefined],
  ['600h', undefined],
  [-1, undefined],
  [1.5, undefined],
  ['1.5s', undefined],
  ['10 s', undefined],
  ['10S', undefined],
  ['10kb', undefined],
  ['s', undefined],
  ['', undefined],
  [Number.NaN, undefined],
  [Number.POSITIVE_INFINITY, undefined],
  [null, undefined],
  [true, undefined]
]

for (const [value, milliseconds] of durations) {
  test(`the duration ${JSON.stringify(value)} is ${milliseconds ?? 'refused'}`, () => {
    assert.equal(parseDuration(value), milliseconds)
  })
}

const sizes: [value: unknown, bytes: number | undefined][] = [
  ['512b', 512],
  ['64kb', 65_536],
  ['1mb', 1_048_576],
  ['1gb', 1_073_741_824],
  ['64KB', 65_536],
  ['1Mb', 1_048_576],
  [1024, 1024],
  ['1024', 1024],
  [0, 0],
  ['9007199254740993', undefined],
  ['1.5mb', undefined],
  ['1tb', undefined],
  ['10s', undefined],
  [-1, undefined],
  [undefined, undefined]
]

for (const [value, bytes] of sizes) {
  test(`the size ${JSON.stringify(value)} is ${bytes ?? 'refused'}`, () => {
    assert.equal(parseSize(value), bytes)
  })
}
