import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, extname, join, normalize, sep } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { loadConfigFile } from '../plugins/config/index.ts'
import { freePort } from './helper.ts'

const FENCED = /^( *)```(.*)\n([\s\S]*?)^\1```$/gm
const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g

const pages = [
  ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'plugins/README.md'],
  ...listMarkdown('docs'),
  ...listMarkdown('bench')
].map((path) => ({ path, text: readFileSync(path, 'utf8') }))
const manifest: {
  scripts: Record<string, string>
  exports: Record<string, unknown>
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
} = JSON.parse(readFileSync('package.json', 'utf8'))

for (const { path, text } of pages) {
  test(`all links of ${path} lead somewhere`, () => {
    const broken = linksOf(text).filter((link) => !leadsSomewhere(path, link))

    assert.deepEqual(broken, [])
  })
}

test('every page of docs can be found from the index', () => {
  const reached = new Set(['docs/README.md'])
  // Pages that are found on the way are visited too.
  for (const path of reached) {
    for (const link of linksOf(pages.find((page) => page.path === path)?.text ?? '')) {
      const target = targetOf(path, link)
      if (target.endsWith('.md')) reached.add(target)
    }
  }

  assert.deepEqual(
    listMarkdown('docs').filter((path) => !reached.has(path)),
    []
  )
})

test('every npm script that the documentation names exists', () => {
  const named = pages.flatMap(({ text }) => [...text.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)])
  const scripts = named.map(([, run, short]) => run ?? short ?? '')

  assert.ok(scripts.length > 0)
  assert.deepEqual(
    scripts.filter((script) => manifest.scripts[script] === undefined),
    []
  )
})

test('docs/dependencies.md gives a reason for every dependency, and for nothing else', () => {
  const text = readFileSync('docs/dependencies.md', 'utf8')
  const [runtime = '', development = ''] = text.split(/^## /m).slice(1)

  assert.deepEqual(packagesIn(runtime), Object.keys(manifest.dependencies).sort())
  assert.deepEqual(packagesIn(development), Object.keys(manifest.devDependencies).sort())
})

test('plugins import one another along the arrows of docs/architecture.md, through index.ts', () => {
  const arrows: Record<string, readonly string[]> = {
    proxy: ['middleware', 'balancer', 'events', 'config'],
    discovery: ['balancer', 'config'],
    health: ['balancer', 'config'],
    demo: ['config'],
    diagnostics: ['config'],
    server: ['config'],
    workers: []
  }
  const sources = readdirSync('plugins', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const imports = sources.flatMap((source) => {
    const found = readFileSync(join('plugins', source), 'utf8').matchAll(/ from '(\.[^']+)'/g)
    return [...found].map(([, path = '']) => ({ source, target: normalize(join(dirname(source), path)) }))
  })

  const strays = imports.filter(({ source, target }) => {
    const [from = '', to = ''] = [source, target].map((path) => path.split(sep)[0])
    if (from === to || target === 'errors.ts' || target === 'units.ts') return false
    return arrows[from]?.includes(to) !== true || target !== join(to, 'index.ts')
  })

  assert.ok(imports.length > 0)
  assert.deepEqual(strays, [])
})

test('the configuration in README.md is valid', (t) => {
  const [yaml = ''] = blocks(readFileSync('README.md', 'utf8'), 'yaml')
  const folder = mkdtempSync(join(tmpdir(), 'gateway-docs-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, yaml)

  const { routes } = loadConfigFile(file, {})

  assert.deepEqual(
    routes.map(({ id }) => id),
    ['users', 'old-name']
  )
})

const snippets = ['README.md', 'docs/traffic.md', 'docs/health.md', 'docs/events.md'].flatMap((page) =>
  blocks(readFileSync(page, 'utf8'), 'ts run').map((code, index) => ({ page, code, number: index + 1 }))
)

for (const { page, code, number } of snippets) {
  test(`runnable snippet ${number} of ${page} prints what its comments say`, async () => {
    const expected = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, output]) => output)
    const program = await prepare(code)

    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
      timeout: 20_000
    })

    const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
    assert.deepEqual(lines, expected)
  })
}

/** Makes a snippet run here: the compiled package under its own name, free ports, and an end. */
async function prepare(code: string): Promise<string> {
  let program = code.replace(/from 'fastify-gateway(\/\w+)?'/g, (_whole, part: string | undefined) => {
    const entry = manifest.exports[`.${part ?? ''}`]
    assert.ok(typeof entry === 'object' && entry !== null && 'default' in entry)
    const compiled = String(entry.default)
      .replace('./dist/', '../')
      .replace(/\.js$/, extname(import.meta.filename))
    return `from '${new URL(compiled, import.meta.url)}'`
  })
  for (const port of ['3001', '3002']) program = program.replaceAll(port, String(await freePort()))
  if (program.includes('app.close()')) return program
  return `${program.replace('port: 8080', 'port: 0')}\nawait app.close()\n`
}

/** The contents of the fenced blocks that begin with this info string. */
function blocks(text: string, info: string): string[] {
  return [...text.matchAll(FENCED)].filter(([, , found]) => found === info).map(([, , , content = '']) => content)
}

function linksOf(text: string): string[] {
  const prose = text.replace(FENCED, '').replace(/`[^`\n]*`/g, 'code')
  return [...prose.matchAll(LINK)].map(([, link = '']) => link).filter((link) => !/^\w+:/.test(link))
}

function leadsSomewhere(from: string, link: string): boolean {
  const anchor = link.split('#')[1]
  const target = targetOf(from, link)
  if (!existsSync(target)) return false
  if (anchor === undefined) return true
  return statSync(target).isFile() && anchorsOf(readFileSync(target, 'utf8')).includes(anchor)
}

/** The file a link means, relative to the project. */
function targetOf(from: string, link: string): string {
  const path = link.split('#')[0] ?? ''
  return path === '' ? from : normalize(join(dirname(from), path))
}

/** Anchors of headings as GitHub makes them. */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>()
  return [...text.replace(FENCED, '').matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading = '']) => {
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
}

function packagesIn(section: string): string[] {
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name).sort()
}

function listMarkdown(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort()
}
