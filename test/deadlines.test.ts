import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Deadlines, type Expiring } from '../plugins/proxy/forwarding/deadlines.ts'

const TICK = 20

/** Deadlines on a scripted clock; `advance` lets so many ticks pass in time, `stall` one that comes late. */
function setUp(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let time = 1_000
  const deadlines = new Deadlines(() => time)
  t.after(() => deadlines.close())
  const pass = (duration: number) => {
    time += duration
    t.mock.timers.tick(TICK)
  }
  return {
    deadlines,
    stall: pass,
    advance(ticks: number) {
      for (let i = 0; i < ticks; i++) pass(TICK)
    }
  }
}

function entry(deadline: number): Expiring & { calls: number } {
  return {
    deadline,
    calls: 0,
    onDeadline() {
      this.calls++
      this.deadline = Number.POSITIVE_INFINITY
    }
  }
}

test('a deadline is met not before its time, and at most two ticks later', (t) => {
  const { deadlines, advance } = setUp(t)
  const expiring = entry(0)
  deadlines.add(expiring)
  expiring.deadline = deadlines.after(100)

  advance(5)
  assert.equal(expiring.calls, 0)
  advance(2)
  assert.equal(expiring.calls, 1)
})

test('a duration of 0 never ends', (t) => {
  const { deadlines } = setUp(t)

  assert.equal(deadlines.after(0), Number.POSITIVE_INFINITY)
})

test('a deadline that was moved counts from where it was moved to', (t) => {
  const { deadlines, advance } = setUp(t)
  const expiring = entry(0)
  deadlines.add(expiring)
  expiring.deadline = deadlines.after(60)

  for (let i = 0; i < 10; i++) {
    advance(2)
    expiring.deadline = deadlines.after(60)
  }
  assert.equal(expiring.calls, 0)
  advance(4)
  assert.equal(expiring.calls, 1)
})

test('what was deleted does not expire', (t) => {
  const { deadlines, advance } = setUp(t)
  const expiring = entry(0)
  deadlines.add(expiring)
  deadlines.delete(expiring)

  advance(10)

  assert.equal(expiring.calls, 0)
})

test('after a stall of the process nothing expires before the next tick', (t) => {
  const { deadlines, stall, advance } = setUp(t)
  const expiring = entry(0)
  deadlines.add(expiring)
  expiring.deadline = deadlines.after(100)

  stall(5_000)
  assert.equal(expiring.calls, 0)
  advance(1)
  assert.equal(expiring.calls, 1)
})

test('a clock that has rested is right when it starts again', (t) => {
  const { deadlines, advance, stall } = setUp(t)
  deadlines.add(entry(Number.POSITIVE_INFINITY))
  deadlines.close()
  stall(60_000)
  const expiring = entry(0)
  deadlines.add(expiring)
  expiring.deadline = deadlines.after(100)

  advance(5)
  assert.equal(expiring.calls, 0)
  advance(2)
  assert.equal(expiring.calls, 1)
})
