import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { plotResults } from './plot.ts'

const PAGE = 'bench/RESULTS.md'

/** What a run has found, by the name of the scenario. */
export interface Run {
  /** Major version of Node.js: each has a section of its own. */
  readonly major: string
  readonly date: string
  readonly machine: string
  /** Whether everything was measured, so that the machine and the versions hold for the whole section. */
  readonly whole: boolean
  readonly tables: ReadonlyMap<string, string>
}

/** Brings the page of results up to date, and the plot of the section. */
export function writeResults(run: Run): void {
  const page = withRun(existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '# Results\n', run)
  writeFileSync(PAGE, page)
  const section = blockOf(page, sectionName(run.major)) ?? ''
  writeFileSync(`bench/${plotName(run.major)}`, plotResults(`Node.js ${run.major}`, section))
}

/**
 * The page with what the run has found. All that is generated stands between markers: a section for each major version
 * of Node.js, and within it a block for each scenario. What was not measured this time stays, and so does what is around
 * the markers.
 */
export function withRun(page: string, { major, date, machine, whole, tables }: Run): string {
  const name = sectionName(major)
  const before = blockOf(page, name)
  let section = whole || before === undefined ? `${heading(major)}${marked(`${name} machine`, `${machine}\n`)}` : before
  if (whole && before !== undefined) {
    // What is not part of a whole run stays.
    for (const [other, text] of blocksOf(before, name)) {
      if (!tables.has(other) && other !== 'machine') section += `\n${marked(`${name} ${other}`, text)}`
    }
  }
  const remark = whole ? '' : `\nBy itself, ${date}.\n`
  for (const [scenario, text] of tables)
    section = withBlock(section, `${name} ${scenario}`, `${text.trimEnd()}\n${remark}`)
  return withBlock(page, name, section)
}

function sectionName(major: string): string {
  return `node-${major}`
}

function plotName(major: string): string {
  return `results-node-${major}.svg`
}

function heading(major: string): string {
  return `## Node.js ${major}\n\n![Processor time per request](${plotName(major)})\n\n`
}

function withBlock(text: string, name: string, content: string): string {
  const block = marked(name, content)
  const found = blockOf(text, name)
  // A function, since a replacement in a string would have `$` mean something.
  return found === undefined ? `${text.trimEnd()}\n\n${block}` : text.replace(marked(name, found), () => block)
}

function blockOf(text: string, name: string): string | undefined {
  const [begin, end] = markers(name)
  const from = text.indexOf(begin)
  const to = text.indexOf(end, from)
  return from < 0 || to < 0 ? undefined : text.slice(from + begin.length, to)
}

function blocksOf(section: string, name: string): [string, string][] {
  return [...section.matchAll(new RegExp(`<!-- ${name} (\\S+) -->`, 'g'))].flatMap(([, scenario = '']) => {
    const text = blockOf(section, `${name} ${scenario}`)
    return text === undefined ? [] : [[scenario, text] satisfies [string, string]]
  })
}

function marked(name: string, content: string): string {
  const [begin, end] = markers(name)
  return `${begin}${content}${end}`
}

function markers(name: string): [begin: string, end: string] {
  return [`<!-- ${name} -->\n`, `<!-- /${name} -->\n`]
}
