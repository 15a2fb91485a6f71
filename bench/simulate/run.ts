import { readFileSync, writeFileSync } from 'node:fs'
import { plotLatencies } from './plot.ts'
import { renderErrors, renderKeyed, renderLatencies, runScenarios } from './report.ts'

const PAGE = 'docs/choosing-a-strategy.md'
const PLOT = 'docs/images/strategies-p99.svg'

const reports = runScenarios({ duration: 20_000, seeds: [1, 2, 3] })
const tables = { latencies: renderLatencies(reports), errors: renderErrors(reports), keys: renderKeyed(reports) }
console.log(Object.values(tables).join('\n'))

// `npm run simulate -- --write` brings the documentation up to date.
if (process.argv.includes('--write')) {
  let page = readFileSync(PAGE, 'utf8')
  for (const [name, table] of Object.entries(tables)) {
    const marked = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`)
    page = page.replace(marked, (_, begin: string, end: string) => `${begin}${table}${end}`)
  }
  writeFileSync(PAGE, page)
  writeFileSync(PLOT, plotLatencies(reports))
}
