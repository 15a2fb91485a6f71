import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../plugins/config/nearest.ts'

const cases: { name: string; known: string[]; expected: string | undefined }[] = [
  { name: 'pth', known: ['hosts', 'path'], expected: 'path' },
  { name: 'methds', known: ['methods'], expected: 'methods' },
  { name: 'keepalivetimeout', known: ['keepAliveTimeout'], expected: 'keepAliveTimeout' },
  {
    name: 'smooth-wheighted-raund-robyn',
    known: ['smooth-weighted-round-robin'],
    expected: 'smooth-weighted-round-robin'
  },
  { name: 'beta', known: ['betb', 'betc'], expected: 'betb' },
  { name: 'on', known: ['ca', 'id'], expected: undefined },
  { name: 'zebra', known: ['path', 'hosts'], expected: undefined },
  { name: 'path', known: [], expected: undefined }
]

for (const { name, known, expected } of cases) {
  test(`of ${known.join(', ') || 'no names'}, '${name}' most probably means ${expected ?? 'none'}`, () => {
    assert.equal(nearest(name, known), expected)
  })
}
