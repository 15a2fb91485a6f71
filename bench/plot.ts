/** A table of results: what was measured, and microseconds of processor time by proxy. */
interface Panel {
  readonly title: string
  readonly bars: readonly Bar[]
}

interface Bar {
  readonly name: string
  readonly value: number
}

const COLUMN = 'CPU us/request'
const SCENARIOS = ['small-get', 'get-64k', 'post-16k', 'download-1m', 'tls', 'websocket']
const OWN = 'gateway'
/** Of Okabe and Ito, which most people can tell apart. */
const OWN_COLOR = '#0072b2'
const OTHER_COLOR = '#bbbbbb'

const PANELS_PER_ROW = 2
const PANEL_WIDTH = 480
const LABELS = 180
const LONGEST = 220
const BAR = 18
const HEAD = 34
const TOP = 44

/** Bars of processor time per request, a panel for each of the main scenarios in a section of the results, as SVG. */
export function plotResults(title: string, section: string): string {
  const panels = SCENARIOS.flatMap((name) => readPanel(section, name))
  const rows = Array.from({ length: Math.ceil(panels.length / PANELS_PER_ROW) }, (_, row) =>
    panels.slice(row * PANELS_PER_ROW, (row + 1) * PANELS_PER_ROW)
  )
  let top = TOP
  const drawn: string[] = []
  for (const row of rows) {
    row.forEach((panel, column) => {
      drawn.push(...drawPanel(panel, 10 + column * PANEL_WIDTH, top))
    })
    top += HEAD + BAR * Math.max(...row.map(({ bars }) => bars.length)) + 20
  }
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${PANELS_PER_ROW * PANEL_WIDTH} ${top}" font-family="sans-serif" font-size="12">`,
    `<title>Processor time per request, ${title}</title>`,
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    `<text x="10" y="26" font-size="16" fill="#222222">Processor time per request in microseconds, ${escapeText(title)}</text>`,
    ...drawn,
    '</svg>'
  ]
  return `${lines.join('\n')}\n`
}

/** The panel of a scenario, if its table is there; proxies that were not measured to the end have no bar. */
export function readPanel(section: string, scenario: string): Panel[] {
  const from = section.search(new RegExp(`<!-- [\\w-]+ ${scenario} -->`))
  if (from < 0) return []
  const [head = [], , ...rows] = section
    .slice(from)
    .split('\n')
    .slice(1)
    .filter(
      (line, index, lines) => line.startsWith('|') && !lines.slice(0, index).some((one) => one.startsWith('<!--'))
    )
    .map(cells)
  const column = head.indexOf(COLUMN)
  const bars = rows
    .map((row) => ({ name: row[0] ?? '', value: Number(row[column]) }))
    .filter(({ value }) => Number.isFinite(value))
  return column < 0 || bars.length === 0 ? [] : [{ title: head[0] ?? '', bars }]
}

function cells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((text) => text.trim())
}

function drawPanel({ title, bars }: Panel, left: number, top: number): string[] {
  const most = Math.max(...bars.map(({ value }) => value))
  const zero = left + LABELS
  return [
    `<text x="${zero}" y="${top + 18}" font-weight="bold" fill="#222222">${escapeText(title)}</text>`,
    ...bars.flatMap(({ name, value }, index) => {
      const y = top + HEAD + index * BAR
      const width = Math.round((value / most) * LONGEST * 10) / 10
      const color = name === OWN ? OWN_COLOR : OTHER_COLOR
      return [
        `<text x="${zero - 8}" y="${y + 11}" text-anchor="end" fill="#222222">${escapeText(name)}</text>`,
        `<rect x="${zero}" y="${y}" width="${width}" height="${BAR - 4}" fill="${color}"/>`,
        `<text x="${zero + width + 6}" y="${y + 11}" fill="#444444">${value.toFixed(1)}</text>`
      ]
    })
  ]
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
