import assert from 'node:assert/strict'
import { test } from 'node:test'
import gateway from '../app.ts'
import { createBalancers } from '../plugins/balancer/index.ts'
import { type GatewayOptions, parseOptions } from '../plugins/config/index.ts'
import { ActiveChecks } from '../plugins/health/active-checks.ts'
import type { HealthChange } from '../plugins/health/index.ts'
import { Timetable } from '../plugins/health/timetable.ts'
import { eventually } from './forwarding-helper.ts'
import { FakeTime } from './health-helper.ts'
import { startTarget } from './helper.ts'
import { createApp } from './plugin-helper.ts'

type Rules = NonNullable<NonNullable<NonNullable<GatewayOptions['upstreams']>[string]['health']>['active']>

const H1 = 'http://h1:1'
const H2 = 'http://h2:1'

type Answer = 'fine' | 'fail' | 'silent'

/** Checks of targets whose answers are those of the test, and come after 1 ms. */
function start(
  rules: Rules,
  {
    targets = [H1],
    answer = 'fine',
    random = () => 0
  }: { targets?: string[]; answer?: Answer; random?: () => number } = {}
) {
  const config = parseOptions({
    upstreams: { users: { targets, panicThreshold: 0, health: { active: { type: 'tcp', jitter: 0, ...rules } } } }
  })
  const upstream = config.upstreams.users ?? assert.fail()
  const time = new FakeTime()
  const timetable = new Timetable(time.now, time.schedule)
  const balancer = createBalancers({ upstreams: { users: upstream }, now: time.now }).get('users')
  const changes: HealthChange[] = []
  /** When checks have begun, in milliseconds from the start. */
  const begun: number[] = []
  /** URLs of the targets whose checks are under way. */
  const running = new Set<string>()
  const all = { answer, most: 0 }
  const beginning = time.time
  const checks = new ActiveChecks({
    balancer,
    rules: upstream.health.active ?? assert.fail(),
    timetable,
    now: time.now,
    random,
    onChange: (change) => changes.push(change),
    probe({ url }, done) {
      assert.equal(running.has(url), false, 'two checks of one target at once')
      begun.push(time.time - beginning)
      running.add(url)
      all.most = Math.max(all.most, running.size)
      const end = (failure: string | undefined) => {
        cancelAnswer()
        running.delete(url)
        done(failure)
      }
      const cancelAnswer =
        all.answer === 'silent' ? () => {} : time.schedule(() => end(all.answer === 'fine' ? undefined : 'refused'), 1)
      return () => end('cancelled')
    }
  })
  const isUsed = (url = H1) => balancer.find(url)?.isAvailable({ key: undefined, tried: undefined }, time.now)
  const story = () => changes.map(({ what, target }) => `${what} ${target}`)
  return { checks, balancer, time, changes, begun, running, all, isUsed, story }
}

test('a target is used before its first check, and is unhealthy after as many failures in a row as fall says', () => {
  const { checks, time, isUsed, changes } = start({ fall: 3, interval: '10s' }, { answer: 'fail' })
  checks.start()

  const used = [0, 1, 2, 3].map(() => {
    const before = isUsed()
    time.advance(10_000)
    return before
  })

  assert.deepEqual(used, [true, true, true, false])
  assert.deepEqual(changes, [
    { upstream: 'users', target: H1, what: 'unhealthy', reason: '3 checks in a row have failed: refused' }
  ])
})

test('a success in between begins the count of failures anew', () => {
  const { checks, time, all, story } = start({ fall: 2, interval: '10s' })
  checks.start()

  for (const answer of ['fail', 'fine', 'fail', 'fine', 'fail'] as const) {
    time.advance(9_000)
    all.answer = answer
    time.advance(1_000)
  }
  const before = story()
  time.advance(10_001)

  assert.deepEqual(before, [`healthy ${H1}`])
  assert.deepEqual(story(), [`healthy ${H1}`, `unhealthy ${H1}`])
})

test('the first success admits, and later ones as many in a row as rise says', () => {
  const { checks, time, all, isUsed, changes } = start({ fall: 1, rise: 2, interval: '10s' })
  checks.start()
  time.advance(5_000)
  all.answer = 'fail'
  time.advance(10_000)
  assert.equal(isUsed(), false)

  all.answer = 'fine'
  time.advance(10_000)
  const afterOne = isUsed()
  all.answer = 'fail'
  time.advance(10_000)
  all.answer = 'fine'
  time.advance(10_000)
  const afterAnother = isUsed()
  time.advance(10_000)

  assert.deepEqual([afterOne, afterAnother, isUsed()], [false, false, true])
  assert.deepEqual(
    changes.map(({ what, reason }) => `${what}: ${reason}`),
    [
      'healthy: the first check has succeeded',
      'unhealthy: 1 check has failed: refused',
      'healthy: 2 checks in a row have succeeded'
    ]
  )
})

test('checks begin at the interval, however long they take', () => {
  const { checks, time, begun, all } = start({ interval: '10s', timeout: '7s', fall: 9 }, { answer: 'silent' })
  checks.start()

  time.advance(20_000)
  all.answer = 'fine'
  time.advance(25_000)

  assert.deepEqual(begun, [0, 10_000, 20_000, 30_000, 40_000])
})

test('where the timeout is longer than the interval, the next check waits for the end of the one before', () => {
  const { checks, time, begun } = start({ interval: '2s', timeout: '5s', fall: 9 }, { answer: 'silent' })
  checks.start()

  time.advance(16_000)

  assert.deepEqual(begun, [0, 5_000, 10_000, 15_000])
})

test('a target that does not answer in time has failed, and its check is ended', () => {
  const { checks, time, running, changes } = start({ timeout: '3s', fall: 1 }, { answer: 'silent' })
  checks.start()

  time.advance(2_999)
  const before = [...running]
  time.advance(1)

  assert.deepEqual(before, [H1])
  assert.deepEqual([...running], [])
  assert.deepEqual(
    changes.map(({ reason }) => reason),
    ['1 check has failed: no answer within 3000 ms']
  )
})

test('the interval is longer by a random part of the jitter', () => {
  const draws = [0, 0.5, 0.9]
  const random = () => draws.shift() ?? 0
  const { checks, time, begun } = start({ interval: '10s', jitter: 0.2 }, { random })
  checks.start()

  time.advance(35_000)

  assert.deepEqual(begun, [0, 10_000, 21_000, 32_800])
})

test('while results speak against the state, checks follow at the faster interval', () => {
  const { checks, time, begun, all } = start({ interval: '10s', fastInterval: '1s', fall: 3, rise: 2 })
  checks.start()
  time.advance(5_000)

  all.answer = 'fail'
  time.advance(15_000)
  all.answer = 'fine'
  time.advance(20_000)

  // Healthy at 0, unhealthy by 10 to 12 s, healthy by 22 and 23 s.
  assert.deepEqual(begun, [0, 10_000, 11_000, 12_000, 22_000, 23_000, 33_000])
})

test('an unhealthy target is checked at the interval for unhealthy ones, and faster where it may be back', () => {
  const intervals = { interval: '10s', fastInterval: '1s', unhealthyInterval: '30s' }
  const { checks, time, begun, all } = start({ ...intervals, fall: 1, rise: 2 })
  checks.start()
  time.advance(5_000)

  all.answer = 'fail'
  time.advance(30_000)
  all.answer = 'fine'
  time.advance(20_000)

  // Unhealthy by 10 s, healthy by 40 and 41 s.
  assert.deepEqual(begun, [0, 10_000, 40_000, 41_000, 51_000])
})

test('no more checks are under way at once than concurrency says, and all get their turn', () => {
  const targets = Array.from({ length: 7 }, (_, index) => `http://h${index}:1`)
  const { checks, time, begun, all, story } = start({ concurrency: 2, interval: '10s' }, { targets })
  checks.start()

  time.advance(9_000)

  assert.equal(all.most, 2)
  assert.deepEqual(begun, [0, 0, 1, 1, 2, 2, 3])
  assert.deepEqual(story().sort(), targets.map((url) => `healthy ${url}`).sort())
})

test('a target that joins is checked at once, and one that leaves no more', () => {
  const { checks, balancer, time, begun, running, all, story } = start({ interval: '10s' })
  checks.start()
  time.advance(3_000)

  balancer.add(H2)
  time.advance(1_000)
  balancer.remove(H1)
  time.advance(15_000)
  const early = [...begun]
  all.answer = 'silent'
  time.advance(5_000)
  assert.deepEqual([...running], [H2])
  balancer.remove(H2)
  time.advance(60_000)

  assert.deepEqual(early, [0, 3_000, 13_000])
  assert.deepEqual([...running], [])
  assert.deepEqual(story(), [`healthy ${H1}`, `healthy ${H2}`])
  assert.equal(time.timers.size, 0)
})

test('a target that is down is not checked, and when it is back its first success admits it', () => {
  const { checks, balancer, time, begun, all, isUsed } = start(
    { interval: '10s', fall: 1, rise: 3 },
    { answer: 'fail' }
  )
  checks.start()
  time.advance(1_000)

  balancer.setDown(H1, true)
  time.advance(60_000)
  balancer.setDown(H1, false)
  const back = isUsed()
  all.answer = 'fine'
  time.advance(5)

  assert.deepEqual(begun, [0, 61_000])
  assert.deepEqual([back, isUsed()], [false, true])
})

test('a target that is taken down by whoever hears of its failure is left alone', () => {
  const { checks, balancer, time, begun } = start({ interval: '10s', fall: 1 }, { answer: 'fail' })
  balancer.observe({ onChange: (target, change) => void (change === 'unhealthy' && target.set('down', true)) })
  checks.start()

  time.advance(60_000)

  assert.deepEqual(begun, [0])
  assert.equal(time.timers.size, 0)
})

test('a target that is put back by whoever hears of its failure is checked once at a time', () => {
  const { checks, balancer, time, begun, all } = start({ interval: '10s', fall: 1 }, { answer: 'fail' })
  balancer.observe({
    onChange: (target, change) => {
      if (change !== 'unhealthy' || !target.has('unhealthy')) return
      target.set('down', true)
      target.set('down', false)
    }
  })
  checks.start()

  time.advance(1_000)
  all.answer = 'fine'
  time.advance(25_000)

  assert.deepEqual(begun, [0, 1, 10_001, 20_001])
})

test('where it is required, targets are used only after their first success, and no panic changes that', () => {
  const { checks, balancer, time, isUsed, all, story } = start(
    { required: true, fall: 2, interval: '10s' },
    { answer: 'fail', targets: [H1, H2] }
  )
  const atStart = isUsed()
  checks.start()

  time.advance(5_000)
  const levels = balancer.levels.map(({ inService, panic }) => ({ inService, panic }))
  const picked = balancer.get()
  all.answer = 'fine'
  time.advance(10_000)

  assert.equal(atStart, false)
  assert.equal(picked, undefined)
  assert.deepEqual(levels[0], { inService: 0, panic: false })
  assert.deepEqual(story(), [`healthy ${H1}`, `healthy ${H2}`])
  assert.ok(balancer.get() !== undefined)
})

test('where it is required, whoever waits for a target does not get one that joins unchecked', () => {
  const { checks, balancer, time } = start({ required: true, interval: '10s' }, { targets: [H1, H2] })
  const picks: (string | undefined)[] = []
  balancer.observe({ onAdd: () => picks.push(balancer.get()?.url) })
  checks.start()
  time.advance(1_000)
  balancer.setDown(H1, true)
  balancer.setDown(H2, true)

  balancer.add('http://h3:1')
  const before = balancer.get()?.url
  time.advance(5)

  assert.deepEqual(picks, [undefined])
  assert.equal(before, undefined)
  assert.equal(balancer.get()?.url, 'http://h3:1')
})

test('a check that cannot even begin has failed', () => {
  const time = new FakeTime()
  const balancer = createBalancers({ upstreams: { users: { targets: [H1] } }, now: time.now }).get('users')
  const active = { type: 'tcp', fall: 2, interval: '10s' } as const
  const { users } = parseOptions({ upstreams: { users: { health: { active } } } }).upstreams
  const reasons: string[] = []
  const checks = new ActiveChecks({
    balancer,
    rules: users?.health.active ?? assert.fail(),
    timetable: new Timetable(time.now, time.schedule),
    now: time.now,
    random: () => 0,
    onChange: ({ reason }) => reasons.push(reason),
    probe() {
      throw new Error('bad certificate')
    }
  })
  checks.start()

  time.advance(10_000)

  assert.deepEqual(reasons, ['2 checks in a row have failed: bad certificate'])
})

test('after the end, no check is under way, and none will be', () => {
  const { checks, balancer, time, running, begun } = start({ concurrency: 1 }, { answer: 'silent', targets: [H1, H2] })
  checks.start()

  checks.stop()
  balancer.add('http://h3:1')
  time.advance(60_000)

  assert.deepEqual(begun, [0])
  assert.equal(running.size, 0)
  assert.equal(time.timers.size, 0)
})

test('an answer that has come while the process was busy is not overdue', async (t) => {
  const target = await startTarget(t, (_request, response) => {
    response.end()
    setImmediate(() => {
      // The answer is with the operating system by now, and not read yet. After this, the timeout is long over.
      for (const until = performance.now() + 700; performance.now() < until; );
    })
  })
  const app = createApp(t)
  await app.register(gateway, {
    upstreams: {
      users: { targets: [target.url], health: { active: { path: '/', timeout: '500ms', fall: 1, interval: '1h' } } }
    },
    routes: []
  })
  const told: string[] = []
  app.health.on('change', ({ what }) => told.push(what))

  await app.ready()
  await eventually(() => told.length > 0, 'the check has no result')

  assert.deepEqual(told, ['healthy'])
})
