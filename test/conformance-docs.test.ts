import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { casesOf, filesOf, renderPage, sections } from './conformance-page.ts'

const PAGE = 'docs/conformance.md'

// UPDATE_DOCS=1 node --test dist/test/conformance-docs.test.js writes the tables anew.
if (process.env.UPDATE_DOCS === '1') writeFileSync(PAGE, renderPage(readFileSync(PAGE, 'utf8')))

test('docs/conformance.md lists every case of the tests with its state, and no other', () => {
  const page = readFileSync(PAGE, 'utf8')

  assert.equal(page, renderPage(page))
})

for (const [name, cases] of Object.entries(sections)) {
  test(`every case of ${name} stands in the page once, with a reason where it does not pass`, () => {
    const found = cases()
    const keys = found.map(({ source, behaviour }) => `${source}: ${behaviour}`)

    assert.ok(found.length > 0)
    assert.deepEqual(
      keys.filter((key, i) => keys.indexOf(key) !== i),
      []
    )
    assert.deepEqual(
      found.filter(({ state, why }) => (state === 'passes') !== (why === '')),
      []
    )
  })
}

test('no call of a conformance test escapes the reader of its arguments', () => {
  const found = Object.keys(sections).flatMap((name) => casesOf(name).filter((one) => one.test !== ''))
  const files = [...new Set(found.map((one) => one.test))]
  const calls = files.flatMap((file) => [
    ...readFileSync(`test/${file}`, 'utf8').matchAll(/^\s*(?:conforms|conformsEach|differs)\(/gm)
  ])

  assert.equal(found.length, calls.length)
})

test('every file with cases of a suite is run', () => {
  for (const name of ['go', 'yarp', 'nginx']) {
    const runner = `conformance-${name}.test.ts`
    const imported = [...readFileSync(`test/${runner}`, 'utf8').matchAll(/^import '\.\/(.*)'$/gm)].map(
      ([, file]) => file
    )

    assert.deepEqual(
      imported,
      filesOf(name).filter((file) => file !== runner)
    )
  }
})
