import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { freePort } from './helper.ts'

// Runs the walk-through of docs/debugging.md: every block of commands in one shell, one after the other, and holds the
// output of each against the lines shown below it. Not a test, since it needs gdb; `.ci/debugging` runs it.

const BLOCK = /^```(sh run|text)\n([\s\S]*?)^```$/gm
const TIMEOUT = 300_000

interface Step {
  readonly commands: string
  readonly expected: readonly string[]
}

function readSteps(page: string): Step[] {
  const steps: Step[] = []
  for (const [, kind, content = ''] of page.matchAll(BLOCK)) {
    const last = steps.pop()
    if (kind === 'sh run') steps.push(...(last === undefined ? [] : [last]), { commands: content, expected: [] })
    else if (last !== undefined) steps.push({ ...last, expected: content.trimEnd().split('\n') })
  }
  return steps
}

/** Runs all commands in one shell; between the steps it prints a mark. */
async function run(steps: readonly Step[], ports: Readonly<Record<string, string>>, mark: string): Promise<string> {
  const script = steps.map(({ commands }) => `set -x\n${commands}{ set +x; } 2>/dev/null\necho ${mark}\n`).join('')
  const ported = Object.entries(ports).reduce((text, [from, to]) => text.replaceAll(from, to), script)
  const shell = spawn('bash', ['-c', `set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${ported}`], {
    env: { ...process.env, DIAGNOSTICS_PORT: ports['9901'] ?? '9901' },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: TIMEOUT
  })
  let output = ''
  shell.stdout.on('data', (chunk: Buffer) => {
    output += chunk
    process.stdout.write(chunk)
  })
  const code = await new Promise((resolve) => shell.on('close', resolve))
  if (code !== 0) throw new Error(`a command of docs/debugging.md failed: ${code}`)
  return output
}

/** The expected lines that do not come, in their order. */
function missing({ expected }: Step, output: string): string[] {
  let from = 0
  return expected.filter((line) => {
    const at = output.indexOf(line, from)
    if (at !== -1) from = at + line.length
    return at === -1
  })
}

const steps = readSteps(readFileSync('docs/debugging.md', 'utf8'))
const mark = `-- end of step ${process.pid} --`
const ports = { 8080: String(await freePort()), 9901: String(await freePort()) }
const outputs = (await run(steps, ports, `'${mark}'`)).split(mark)
const faults = steps.flatMap((step, index) => {
  const lines = missing(step, outputs[index] ?? '')
  return lines.map((line) => `step ${index + 1}: not printed: ${line}`)
})
if (steps.length < 9 || faults.length > 0) throw new Error(`the walk-through went otherwise:\n${faults.join('\n')}`)
console.log(`all ${steps.length} steps of docs/debugging.md went as described`)
