import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Fault, faults, type Outcome } from './fault-table.ts'

const PAGE = 'docs/forwarding.md'
const TABLE = /(<!-- faults:begin -->\n)[\s\S]*?(<!-- faults:end -->)/

const again = { all: 'every request', idempotent: 'idempotent requests', none: '' }

// UPDATE_DOCS=1 node --test dist/test/faults-docs.test.js writes the table anew.
if (process.env.UPDATE_DOCS === '1') writeFileSync(PAGE, render(readFileSync(PAGE, 'utf8')))

test('the table of faults in docs/forwarding.md is that of the tests', () => {
  const page = readFileSync(PAGE, 'utf8')

  assert.match(page, TABLE)
  assert.equal(page, render(page))
})

function render(page: string): string {
  const rows = faults.map((one) => `| ${one.fault} | ${outcomes(one)} | ${repeated(one)} |\n`)
  const table = ['| the target | the client gets | tried again |\n', '|---|---|---|\n', ...rows].join('')
  return page.replace(TABLE, (_all, begin: string, end: string) => `${begin}\n${table}\n${end}`)
}

function repeated({ again: which, hookedAgain }: Fault): string {
  if (hookedAgain === undefined) return again[which]
  return [again[which], `with \`onSend\` hooks ${again[hookedAgain]}`].filter((text) => text !== '').join('; ')
}

function outcomes({ outcome, hooked, uploading }: Fault): string {
  let text = nameOf(outcome)
  if (hooked !== undefined) text += `; with \`onSend\` hooks ${nameOf(hooked)}`
  if (uploading !== undefined) text += `; within a large upload ${nameOf(uploading)}`
  return text
}

function nameOf(outcome: Outcome): string {
  if (outcome === 'cut') return 'the response, cut'
  return outcome.code === undefined ? 'the response' : `${outcome.status} \`${outcome.code}\``
}
