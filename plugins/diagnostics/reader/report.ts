import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { at, listAt, numberAt, printable, showBytes, textAt } from './json.ts'

const LINES_AROUND = 3
const PLACE = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^():]+):(\d+):(\d+)\)?$/

/** The error and the backtrace, with source lines where the files are there; memory, load, and what is open. */
export function renderReport(report: unknown): string {
  return [
    `${textAt(report, 'header', 'trigger')} of process ${textAt(report, 'header', 'processId')}, ` +
      `Node.js ${textAt(report, 'header', 'nodejsVersion')}, ${textAt(report, 'header', 'dumpEventTime')}\n`,
    renderError(at(report, 'error')),
    renderBacktrace(report),
    renderResources(report),
    renderHandles(listAt(report, 'libuv'))
  ].join('')
}

function renderError(error: unknown, title = 'error'): string {
  if (error === undefined) return ''
  const code = textAt(error, 'code')
  const line = `\n${title}: ${textAt(error, 'name')}: ${textAt(error, 'message')}${code === '' ? '' : ` (${code})`}\n`
  return line + renderError(at(error, 'cause'), 'caused by')
}

function renderBacktrace(report: unknown): string {
  const lines = listAt(report, 'javascriptStack', 'stack').map((line) => printable(String(line)))
  const sources = lines.map((line) => `  ${line}\n${renderSource(line)}`)
  return `\nbacktrace: ${textAt(report, 'javascriptStack', 'message') || '(none)'}\n${sources.join('')}`
}

/** The lines around the place that a line of a backtrace names, if the file is still there. */
function renderSource(line: string): string {
  const [, url = '', row] = PLACE.exec(line) ?? []
  const path = url.startsWith('file:') ? fileURLToPath(url) : url
  const here = Number(row)
  if (path === '' || !existsSync(path)) return ''
  const first = Math.max(1, here - LINES_AROUND)
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(first - 1, here + LINES_AROUND)
    .map((text, index) => {
      const at = first + index
      return `    ${at === here ? '=>' : '  '}${String(at).padStart(5)}: ${printable(text)}\n`
    })
    .join('')
}

function renderResources(report: unknown): string {
  const heap = at(report, 'javascriptHeap')
  const usage = at(report, 'resourceUsage')
  return `
heap: ${showBytes(numberAt(heap, 'usedMemory'))} used of ${showBytes(numberAt(heap, 'memoryLimit'))}
rss: ${showBytes(numberAt(usage, 'rss'))}
cpu: ${numberAt(usage, 'userCpuSeconds').toFixed(1)} s user, ${numberAt(usage, 'kernelCpuSeconds').toFixed(1)} s system
`
}

function renderHandles(handles: readonly unknown[]): string {
  const counts = new Map<string, number>()
  for (const handle of handles) {
    const type = textAt(handle, 'type')
    counts.set(type, (counts.get(type) ?? 0) + 1)
  }
  const shown = [...counts].sort((a, b) => b[1] - a[1]).map(([type, count]) => `${count} ${type}`)
  return `handles: ${shown.join(', ') || 'none'}\n`
}
