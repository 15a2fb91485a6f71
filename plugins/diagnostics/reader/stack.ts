import { at, listAt, numberAt, showUrl, textAt } from './json.ts'

/** Backtrace, source lines and variables, as a debugger prints them. */
export function renderStack(stack: unknown): string {
  const error = textAt(stack, 'error')
  const frames = listAt(stack, 'frames')
  if (at(stack, 'idle') === true) return 'The main thread was idle: it ran nothing.\n'
  const backtrace = frames.map((frame, index) => `#${index}  ${titleOf(frame)}\n`)
  const details = frames.flatMap((frame, index) => {
    const text = renderFrame(frame)
    return text === '' ? [] : [`\n#${index}  ${titleOf(frame)}\n${text}`]
  })
  return [error === '' ? '' : `${error}\n\n`, ...backtrace, ...details].join('')
}

function titleOf(frame: unknown): string {
  const place = `${showUrl(textAt(frame, 'url'))}:${numberAt(frame, 'line')}:${numberAt(frame, 'column')}`
  return `${textAt(frame, 'function')} at ${place}`
}

function renderFrame(frame: unknown): string {
  const here = numberAt(frame, 'line')
  const source = listAt(frame, 'source').map((row) => {
    const line = numberAt(row, 'line')
    return `${line === here ? '=>' : '  '}${String(line).padStart(6)}: ${textAt(row, 'text')}\n`
  })
  const locals = listAt(frame, 'locals').map((variable) => renderVariable(variable, '    '))
  const closure = listAt(frame, 'closure').map((variable) => renderVariable(variable, '    '))
  return [
    ...source,
    ...(locals.length === 0 ? [] : ['  locals:\n', ...locals]),
    ...(closure.length === 0 ? [] : ['  closure:\n', ...closure])
  ].join('')
}

function renderVariable(variable: unknown, indent: string): string {
  const properties = listAt(variable, 'properties').map((property) => renderVariable(property, `${indent}  `))
  return `${indent}${textAt(variable, 'name')} = ${textAt(variable, 'value')}\n${properties.join('')}`
}
