import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createBalancers } from '../plugins/balancer/index.ts'

const { names } = createBalancers().strategies
const guide = readFileSync('docs/strategies.md', 'utf8')

test('every built-in strategy has a page, and every page a strategy', () => {
  const pages = readdirSync('docs/strategies').map((file) => file.replace(/\.md$/, ''))

  assert.deepEqual(pages.sort(), [...names].sort())
})

for (const name of names) {
  test(`the page of ${name} is linked, and answers the same questions as the others`, () => {
    const page = readFileSync(`docs/strategies/${name}.md`, 'utf8')
    const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading)

    assert.ok(guide.includes(`](strategies/${name}.md)`))
    assert.deepEqual(headings, [name, 'When', 'When not', 'Cost', 'Configuration', 'Source'])
  })
}

test('the example of a strategy of one’s own runs as printed', async (t) => {
  const code = /```js\n([\s\S]*?)```/.exec(guide)?.[1] ?? ''
  const log = t.mock.method(console, 'log', () => {})

  await import(`data:text/javascript,${encodeURIComponent(resolveImports(code))}`)

  const expected = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, output]) => output)
  assert.ok(expected.length > 0)
  assert.deepEqual(
    log.mock.calls.map((call) => call.arguments.join(' ')),
    expected
  )
})

/** A data: module resolves nothing by itself; the package's own doors are the modules next to this test. */
function resolveImports(code: string): string {
  return code.replace(/(?<= from ')[^']+(?=')/g, (specifier) => {
    if (specifier === 'fastify-gateway/balancer') return new URL('../plugins/balancer/index.js', import.meta.url).href
    if (specifier === 'fastify-gateway/errors') return new URL('../plugins/errors.js', import.meta.url).href
    return import.meta.resolve(specifier)
  })
}
