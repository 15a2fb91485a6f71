import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rawCaseGroups, renderRawCases } from './conformance-raw.ts'
import { fixture } from './helper.ts'

/** One line of docs/conformance.md. */
export interface Case {
  /** File and test of the suite. */
  readonly source: string
  readonly behaviour: string
  readonly state: 'passes' | 'differs' | 'does not apply'
  /** Reason, where the case does not pass. */
  readonly why: string
  /** File of the test, where there is one. */
  readonly test: string
}

const LITERAL = String.raw`('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")`
const CALL = new RegExp(
  String.raw`\b(conforms|conformsEach|differs)\(\s*${LITERAL},\s*${LITERAL},(?:\s*${LITERAL},)?`,
  'g'
)

/** The sections of the page: name of the markers, and the cases between them. */
export const sections: Record<string, () => Case[]> = {
  go: () => casesOf('go'),
  yarp: () => casesOf('yarp'),
  nginx: () => casesOf('nginx'),
  'gateway-api': () => [...casesOfRows('gateway-api'), ...casesOf('gateway-api')],
  raw: rawCases
}

/** The page with its tables and counts as they must be. */
export function renderPage(page: string): string {
  let rendered = page
  for (const [name, cases] of Object.entries(sections)) {
    rendered = fill(rendered, name, name === 'raw' ? renderRawCases() : renderTable(cases()))
  }
  return fill(rendered, 'count', renderCount())
}

/** The cases of the files `test/conformance-NAME*.ts`, then those that have no test, with the reason. */
export function casesOf(name: string): Case[] {
  return [...filesOf(name).flatMap(testedIn), ...leftOut(name)]
}

/** The files with cases of a suite; `conformance-NAME.test.ts` runs them all. */
export function filesOf(name: string): string[] {
  const pattern = new RegExp(`^conformance-${name}(-.*)?(\\.test)?\\.ts$`)
  return readdirSync('test')
    .filter((file) => pattern.test(file))
    .sort()
}

/** The cases of the fixture `NAME.json`, which has rows for each test of its suite. */
function casesOfRows(name: string): Case[] {
  const { tests } = fixture<{ tests: { test: string; behaviour: string; rows: { why?: string }[] }[] }>(`${name}.json`)
  return tests.map(({ test, behaviour, rows }) => {
    const why = rows.find((row) => row.why !== undefined)?.why ?? ''
    const size = rows.length === 1 ? '1 row' : `${rows.length} rows`
    const state = why === '' ? 'passes' : 'differs'
    return { source: test, behaviour: `${behaviour} (${size})`, state, why, test: `conformance-${name}.test.ts` }
  })
}

/** The cases of the fixtures in `raw-cases`, which are too many for a line each outside of a fold. */
function rawCases(): Case[] {
  return rawCaseGroups.flatMap(({ cases }) =>
    cases.map(({ id, title, reason }) => {
      const state = reason === undefined ? 'passes' : 'differs'
      return { source: id, behaviour: title, state, why: reason ?? '', test: 'raw-cases.test.ts' }
    })
  )
}

function testedIn(file: string): Case[] {
  const source = readFileSync(join('test', file), 'utf8')
  return [...source.matchAll(CALL)].map(([, call = '', ...texts]) => {
    const [from = '', behaviour = '', why = ''] = texts.map(readLiteral)
    const state = call === 'differs' ? 'differs' : 'passes'
    return { source: from, behaviour, state, why, test: file }
  })
}

function leftOut(name: string): Case[] {
  const all = fixture<Record<string, { source: string; why: string }[]>>('conformance-left-out.json')
  return (all[name] ?? []).map((one) => ({ ...one, behaviour: '', state: 'does not apply', test: '' }))
}

function readLiteral(literal: string | undefined): string {
  return (literal ?? '').slice(1, -1).replaceAll(/\\(.)/g, '$1')
}

function fill(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/conformance.md has no place for '${name}'`)
  return `${page.slice(0, from + begin.length)}\n\n${content}\n${page.slice(to)}`
}

function renderTable(cases: readonly Case[]): string {
  const rows = cases.map(({ source, behaviour, state, why, test }) => {
    const link = test === '' ? '' : `[${test.replace(/^conformance-|(\.test)?\.ts$/g, '')}](../test/${test})`
    return line([`\`${source}\``, behaviour, why === '' ? state : `${state}: ${why}`, link])
  })
  return [line(['case', 'behaviour', 'state', 'test']), line(['---', '---', '---', '---']), ...rows].join('')
}

function renderCount(): string {
  const states = ['passes', 'differs', 'does not apply'] as const
  const rows = Object.entries(sections).map(([name, cases]) => {
    const found = cases()
    return line([name, ...states.map((state) => String(found.filter((one) => one.state === state).length))])
  })
  return [line(['suite', ...states]), line(['---', '---:', '---:', '---:']), ...rows].join('')
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
}
