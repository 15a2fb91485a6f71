import { z } from 'zod'
import { parts, variables } from './env-variables.ts'
import { schema } from './schema.ts'
import { types } from './values.ts'

type Schema = z.core.$ZodType

/** What the schema says of one key. */
interface Described {
  readonly inner: Schema
  readonly type: string | undefined
  readonly description: string | undefined
  readonly initial: unknown
}

/** The table of all configuration keys, in Markdown. */
export function renderReference(): string {
  return table(['Key', 'Type', 'Default', 'Description'], rows(schema, ''))
}

/** The table of all environment variables, in Markdown. */
export function renderEnvReference(): string {
  const body = Object.entries(variables.shape).map(([name, variable]) => {
    const { type, description, initial } = describe(variable)
    const path = parts.get(variable)?.path
    const standard = initial ?? (path === undefined ? undefined : initialAt(path))
    const shown = path === undefined ? type : `as ${code(showPart(path))}`
    return [code(name), shown ?? '', standard === undefined ? '' : code(String(standard)), description ?? '']
  })
  return table(['Variable', 'Type', 'Default', 'Description'], body)
}

/** The content of `.env.example`. */
export function renderEnvExample(): string {
  const blocks = Object.entries(variables.shape).map(([name, variable]) => {
    const { description, initial } = describe(variable)
    const part = parts.get(variable)
    const example = part?.example ?? examples[name] ?? ''
    return `# ${description}\n${initial === undefined ? `# ${name}=${example}` : `${name}=${initial}`}\n`
  })
  return `# Copy to .env. An empty value counts as unset. What is commented out is optional.\n\n${blocks.join('\n')}`
}

/** The page with its generated tables brought up to date; each stands between two marks. */
export function renderPage(page: string): string {
  return [
    ['reference', renderReference()],
    ['environment', renderEnvReference()]
  ].reduce((text, [mark, content]) => {
    const [begin, end] = [`<!-- ${mark}:begin -->`, `<!-- ${mark}:end -->`]
    const [before, rest] = [text.indexOf(begin), text.indexOf(end)]
    if (before === -1 || rest < before) return text
    return `${text.slice(0, before + begin.length)}\n\n${content}\n${text.slice(rest)}`
  }, page)
}

const examples: Readonly<Record<string, string>> = {
  GATEWAY_WORKERS: 'auto',
  GATEWAY_CONFIG: 'gateway.yaml',
  GATEWAY_LOG_PRETTY: 'true'
}

function rows(parent: Schema, prefix: string): string[][] {
  const { inner } = describe(parent)
  if (inner instanceof z.ZodArray) return rows(inner.element, `${prefix}[]`)
  if (inner instanceof z.ZodRecord) return rows(inner.valueType, `${prefix}.<name>`)
  if (!(inner instanceof z.ZodObject)) return []
  return Object.entries(inner.shape).flatMap(([key, child]) => {
    const path = prefix === '' ? key : `${prefix}.${key}`
    const { type, description, initial } = describe(child)
    // A looser mapping shows only its own row: the rest of its keys is not for this schema to know.
    if (description === undefined) return []
    return [[code(path), type ?? typeOf(child), showDefault(child, initial), description], ...rows(child, path)]
  })
}

// Steps through optional, default and conversion to the schema that checks the value, and keeps what each of them says.
function describe(outer: Schema): Described {
  const own = { type: types.get(outer)?.type, description: z.globalRegistry.get(outer)?.description }
  const step = (inner: Schema, initial?: unknown): Described => {
    const below = describe(inner)
    return {
      inner: below.inner,
      type: own.type ?? below.type,
      description: own.description ?? below.description,
      initial: initial ?? below.initial
    }
  }
  if (outer instanceof z.ZodOptional) return step(outer.def.innerType)
  if (outer instanceof z.ZodPrefault) return step(outer.def.innerType, outer.def.defaultValue)
  if (outer instanceof z.ZodPipe) return step(outer.def.out instanceof z.ZodTransform ? outer.def.in : outer.def.out)
  return { inner: outer, ...own, initial: undefined }
}

function typeOf(child: Schema): string {
  const { inner, type } = describe(child)
  if (type !== undefined) return type
  return inner instanceof z.ZodArray ? `list (${typeOf(inner.element)})` : 'mapping'
}

function showDefault(child: Schema, initial: unknown): string {
  if (initial === undefined) return child instanceof z.ZodOptional ? '' : '(required)'
  const isEmpty = typeof initial === 'object' && initial !== null && Object.keys(initial).length === 0
  if (isEmpty && describe(child).inner instanceof z.ZodObject) return ''
  return code(Array.isArray(initial) ? `[${initial.join(', ')}]` : isEmpty ? '{}' : String(initial))
}

/** The default of one value of the configuration. */
function initialAt(path: readonly (string | number)[]): unknown {
  let child: Schema | undefined = schema
  for (const key of path) {
    const inner: Schema | undefined = child === undefined ? undefined : describe(child).inner
    if (inner instanceof z.ZodObject) child = inner.shape[key]
    else if (inner instanceof z.ZodRecord) child = inner.valueType
    else child = inner instanceof z.ZodArray ? inner.element : undefined
  }
  const initial = child === undefined ? undefined : describe(child).initial
  return Array.isArray(initial) ? undefined : initial
}

function showPart(path: readonly (string | number)[]): string {
  return path
    .map((key) => (key === 'default' ? '<name>' : key))
    .join('.')
    .replace('.0.', '[].')
}

function code(text: string): string {
  return `\`${text}\``
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('')
}
