import { ceilingsFor, check } from './guard/ceilings.ts'
import { cases, measureCase } from './guard/run.ts'
import { table } from './measure.ts'

const ceilings = ceilingsFor(process.versions.node)
let risen = 0
console.log(`Node ${process.version}, per request:\n`)
for (const { name, ...rest } of cases) {
  const findings = check(await measureCase({ name, ...rest }), ceilings[name] ?? {})
  const rows = findings.map(({ figure, value, ceiling, passed }) => {
    if (!passed) risen++
    const verdict = passed ? 'holds' : `${(value - ceiling).toFixed(2)} too many`
    return [figure, value.toFixed(2), String(ceiling), verdict]
  })
  console.log(table([name, 'measured', 'at most', 'verdict'], rows))
}
console.log(
  risen === 0 ? 'No figure has risen.' : `${risen} figures are above their ceilings (bench/guard/ceilings.ts).`
)
process.exitCode = risen === 0 ? 0 : 1
