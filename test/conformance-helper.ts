import { type TestContext, test } from 'node:test'

type Check = (t: TestContext) => void | Promise<void>

/**
 * A behaviour that another suite asserts, named by its file and test, and that the gateway holds. The page
 * docs/conformance.md is made from these arguments as they stand in the source, so they are plain literals.
 */
export function conforms(source: string, behaviour: string, check: Check): void {
  test(`${behaviour} [${source}]`, check)
}

/** The same, where the gateway does otherwise than the other suite asserts: what it does instead, and why. */
export function differs(source: string, behaviour: string, why: string, check: Check): void {
  test(`${behaviour} [differs from ${source}: ${why}]`, check)
}

/** A behaviour with a test for each row of a table. */
export function conformsEach<Row>(
  source: string,
  behaviour: string,
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  check: (t: TestContext, row: Row) => void | Promise<void>
): void {
  for (const row of rows) test(`${behaviour}: ${nameOf(row)} [${source}]`, (t) => check(t, row))
}
