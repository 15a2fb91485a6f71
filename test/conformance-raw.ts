import { readdirSync } from 'node:fs'
import { fixture } from './helper.ts'
import type { RawCaseGroup } from './raw-case-types.ts'

/** The groups of raw cases, in the order of their names. */
export const rawCaseGroups: readonly RawCaseGroup[] = readdirSync('test/fixtures/raw-cases')
  .sort()
  .map((file) => fixture<RawCaseGroup>(`raw-cases/${file}`))

/** The groups with their counts, and every case with what the gateway makes of it, folded away. */
export function renderRawCases(): string {
  const counts = rawCaseGroups.map(({ group, about, cases }) => {
    const differing = cases.filter(({ reason }) => reason !== undefined).length
    return `| ${group} | ${about} | ${cases.length - differing} | ${differing} |\n`
  })
  return `| group | about | passes | differs |\n| --- | --- | ---: | ---: |\n${counts.join('')}\n${rawCaseGroups.map(renderGroup).join('\n')}`
}

function renderGroup({ group, cases }: RawCaseGroup): string {
  const rows = cases.map(({ id, title, outcome, forwarded = [], reason }) => {
    const state = reason === undefined ? 'passes' : `differs: ${reason}`
    return `| \`${id}\` | ${plain(title)} | ${outcome} | ${forwarded.length} | ${state} |\n`
  })
  return `<details><summary>${group}: ${cases.length} cases</summary>

| case | what | answer | requests forwarded | state |
| --- | --- | --- | ---: | --- |
${rows.join('')}
</details>
`
}

/** Text as a cell of a table: nothing in it is markup. */
function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('|', '\\|').replaceAll('*', '\\*')
}
