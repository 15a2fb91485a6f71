import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { FastifyError } from 'fastify'
import * as errors from '../plugins/errors.ts'

interface Documented {
  code: string
  status: number
  name: string
  message: string
  text: string
}

/** One error of each class, made without arguments: its message is as it stands in the source. */
const made = Object.entries(errors).map(([name, GatewayError]) => {
  const error: FastifyError = Reflect.construct(GatewayError, [])
  return { name, error, code: error.code, status: error.statusCode, message: error.message }
})

const documented = readErrors(readFileSync('docs/errors.md', 'utf8'))

test('the docs name every code once, and no other', () => {
  const codes = documented.map(({ code }) => code)

  assert.deepEqual(codes.toSorted(), made.map(({ code }) => code).toSorted())
  assert.equal(new Set(codes).size, codes.length)
})

test('codes share a prefix, and names of classes follow from them', () => {
  for (const { name, code } of made) {
    assert.match(code, /^FST_GATEWAY_[A-Z_]+$/)
    assert.equal(`${pascalCase(code.replace('FST_GATEWAY_', ''))}Error`, name)
  }
})

for (const { name, code, status, message, error } of made) {
  test(`${code} has the status and the message that the docs give`, () => {
    const entry = documented.find((candidate) => candidate.code === code)

    assert.equal(entry?.name, name)
    assert.equal(entry?.status, status)
    assert.equal(entry?.message.replaceAll('\\n', '\n'), message)
    assert.match(entry?.text ?? '', /\nWhat to do: \S/)
    assert.ok(error instanceof Error)
  })
}

function readErrors(markdown: string): Documented[] {
  const [, ...sections] = markdown.split(/^### /m)
  return sections.map((section) => {
    const code = section.slice(0, section.indexOf('\n'))
    const line = /^Status (\d+), `(\w+)`: `(.+)`$/m.exec(section)
    return { code, status: Number(line?.[1]), name: line?.[2] ?? '', message: line?.[3] ?? '', text: section }
  })
}

function pascalCase(words: string): string {
  return words
    .split('_')
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join('')
}
