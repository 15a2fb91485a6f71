import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetryBudget } from '../plugins/proxy/forwarding/retry-budget.ts'

/** How many retries are granted in a row. */
function drain(budget: RetryBudget): number {
  let granted = 0
  while (budget.take()) granted++
  return granted
}

test('ten retries a second are always allowed, and ten seconds of them are saved up', () => {
  let now = 0
  const budget = new RetryBudget(0.2, () => now)

  assert.equal(drain(budget), 10)
  now += 1_000
  assert.equal(drain(budget), 10)
  now += 60_000
  assert.equal(drain(budget), 100)
})

test('every request adds its share', () => {
  const budget = new RetryBudget(0.25, () => 0)
  drain(budget)

  for (let i = 0; i < 40; i++) budget.deposit()

  assert.equal(drain(budget), 10)
})

test('with a share of 0 only the floor is left', () => {
  const budget = new RetryBudget(0, () => 0)
  drain(budget)

  for (let i = 0; i < 1_000; i++) budget.deposit()

  assert.equal(drain(budget), 0)
})
