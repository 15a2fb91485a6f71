#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { renderFile } from './reader/read.ts'

const USAGE = `Usage: fastify-gateway diagnose FILE [--closure NAME] [--class NAME] [--rows N]

Prints an artifact of the diagnostics: backtrace, source lines and variables of a report or a stack; the largest classes
of a heap snapshot, the variables of the functions called NAME, the objects of the class called NAME; where the time of a
CPU profile went.
`

/** Runs the command; what is wrong is one line on stderr, and exit code 1 (2 for a wrong use). */
function run(args: string[]): void {
  const { positionals, values } = parse(args)
  const [command, file, ...others] = positionals
  const rows = values.rows === undefined ? undefined : Number(values.rows)
  if (values.help) {
    process.stdout.write(USAGE)
  } else if (command !== 'diagnose' || file === undefined || others.length > 0 || (rows !== undefined && !(rows > 0))) {
    process.stderr.write(USAGE)
    process.exitCode = 2
  } else {
    process.stdout.write(renderFile(file, { closure: values.closure, class: values.class, rows }))
  }
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      closure: { type: 'string' },
      class: { type: 'string' },
      rows: { type: 'string' },
      help: { type: 'boolean', short: 'h' }
    }
  })
}

try {
  run(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`fastify-gateway: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
