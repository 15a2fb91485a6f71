import assert from 'node:assert/strict'
import { test } from 'node:test'
import gateway from '../app.ts'
import balancer from '../plugins/balancer/index.ts'
import health from '../plugins/health/index.ts'
import { Timetable } from '../plugins/health/timetable.ts'
import { FakeTime, watch } from './health-helper.ts'
import { createApp } from './plugin-helper.ts'

const TARGETS = ['http://h1:1', 'http://h2:1']
const WARN = 40
const INFO = 30

test('what is done to a target by order is an event, a line in the log and a count', async (t) => {
  const { app, users, changes, lines } = await watch(t, { targets: TARGETS, panicThreshold: 0 })

  users.setDown('http://h1:1', true)
  users.setDown('http://h1:1', false)
  users.drain('http://h2:1')
  users.undrain('http://h2:1')
  users.drain('http://h2:1')

  const told = changes.map(({ upstream, target, what, reason }) => [upstream, target, what, reason].join(' '))
  assert.deepEqual(told, [
    'users http://h1:1 down by order',
    'users http://h1:1 up by order',
    'users http://h2:1 draining by order',
    'users http://h2:1 undrained by order',
    'users http://h2:1 draining by order'
  ])
  assert.deepEqual(
    lines.map(({ level, target, what, msg }) => ({ level, target, what, msg })),
    [
      { level: INFO, target: 'http://h1:1', what: 'down', msg: 'a target is taken down' },
      { level: INFO, target: 'http://h1:1', what: 'up', msg: 'a target is put back' },
      { level: INFO, target: 'http://h2:1', what: 'draining', msg: 'a target is drained' },
      { level: INFO, target: 'http://h2:1', what: 'undrained', msg: 'a target is drained no more' },
      { level: INFO, target: 'http://h2:1', what: 'draining', msg: 'a target is drained' }
    ]
  )
  const { targets, events, panic } = app.health.snapshot().users ?? assert.fail()
  const usable = { unhealthy: false, ejected: false, open: false, pending: false, down: false }
  assert.deepEqual(events, { down: 1, up: 1, draining: 2, undrained: 1 })
  assert.equal(panic, false)
  assert.deepEqual(targets, [
    { url: 'http://h1:1', ...usable, draining: false },
    { url: 'http://h2:1', ...usable, draining: true }
  ])
})

test('the snapshot has the number of requests that found no room', async (t) => {
  const { app, users } = await watch(t, { targets: TARGETS })
  const before = app.health.snapshot().users?.overflows

  users.overflows += 2

  assert.deepEqual([before, app.health.snapshot().users?.overflows], [0, 2])
})

test('a panic is a warning, and its end is told', async (t) => {
  const { app, users, changes, lines } = await watch(t, { targets: TARGETS, panicThreshold: 0.6 })

  users.targets[0]?.set('unhealthy', true)
  const during = app.health.snapshot().users?.panic
  users.targets[0]?.set('unhealthy', false)

  assert.deepEqual(
    changes.map(({ target, what, reason }) => ({ target, what, reason })),
    [
      { target: undefined, what: 'panic', reason: '1 of 2 targets of priority 0 are fit' },
      { target: undefined, what: 'calm', reason: '2 of 2 targets of priority 0 are fit' }
    ]
  )
  assert.deepEqual(
    lines.map(({ level, what }) => [level, what]),
    [
      [WARN, 'panic'],
      [INFO, 'calm']
    ]
  )
  assert.equal(during, true)
  assert.equal(app.health.snapshot().users?.panic, false)
})

test('what a listener throws is logged, and changes nothing', async (t) => {
  const { app, users, lines } = await watch(t, { targets: TARGETS })
  app.health.on('change', () => {
    throw new Error('out of paper')
  })

  users.drain('http://h2:1')

  assert.equal(users.targets[1]?.draining, true)
  assert.equal(lines.at(-1)?.err?.message, 'out of paper')
})

test('targets that come and go are in the snapshot as they do', async (t) => {
  const { app, users } = await watch(t, { targets: TARGETS })

  users.add('http://h3:1')
  users.remove('http://h1:1')

  assert.deepEqual(
    app.health.snapshot().users?.targets.map(({ url }) => url),
    ['http://h2:1', 'http://h3:1']
  )
})

test('the gateway has its health at hand', async (t) => {
  const app = createApp(t)
  await app.register(gateway, { upstreams: { users: { targets: TARGETS } }, routes: [] })
  await app.register(gateway, { upstreams: { orders: { targets: ['http://h9:1'] } }, routes: [], prefix: '/orders' })
  const told: string[] = []
  app.health.on('change', ({ upstream, what }) => told.push(`${upstream} ${what}`))

  app.balancers.get('orders').drain('http://h9:1')

  assert.deepEqual(told, ['orders draining'])
  assert.deepEqual(Object.keys(app.health.snapshot()), ['users', 'orders'])
})

test('an upstream without a balancer stops the start', async (t) => {
  const app = createApp(t)
  await app.register(balancer, { upstreams: { orders: {} } })

  await assert.rejects(
    async () => {
      await app.register(health, { upstreams: { users: {} } })
    },
    { code: 'FST_GATEWAY_UNKNOWN_UPSTREAM' }
  )
})

test('a timetable has one timer, and none while nothing is to be done', () => {
  const time = new FakeTime()
  const timetable = new Timetable(time.now, time.schedule)
  const done: string[] = []

  timetable.after(100, () => done.push('late'))
  timetable.after(50, () => done.push('early'))
  const cancel = timetable.after(75, () => done.push('never'))
  assert.equal(time.timers.size, 1)
  time.advance(60)
  assert.deepEqual(done, ['early'])
  cancel()
  time.advance(60)

  assert.deepEqual(done, ['early', 'late'])
  assert.equal(time.timers.size, 0)
})

test('a timetable repeats what is to be repeated until that is cancelled, or all of it stops', () => {
  const time = new FakeTime()
  const timetable = new Timetable(time.now, time.schedule)
  let count = 0
  let others = 0

  const cancel = timetable.every(10, () => count++)
  timetable.every(10, () => others++)
  time.advance(35)
  cancel()
  time.advance(20)
  timetable.stop()
  timetable.after(1, () => others++)
  time.advance(100)

  assert.equal(count, 3)
  assert.equal(others, 5)
  assert.equal(time.timers.size, 0)
})
