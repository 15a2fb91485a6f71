import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Balancer,
  createBalancers,
  type Outcome,
  type StrategyFactory,
  type Target
} from '../plugins/balancer/index.ts'
import { DuplicateTargetError, InvalidTargetError } from '../plugins/errors.ts'
import { balancerOf, exchange, FakeClock, hold, letterOf, sequence } from './balancer-helper.ts'

const { names } = createBalancers().strategies

for (const strategy of names) {
  test(`${strategy}: none of the targets being up, there is none, and no error`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1 down', 'h2:1 down', 'h3:1 backup down'] })

    assert.equal(balancer.get(), undefined)
    assert.equal(balancer.get({ key: 'k', tried: undefined }), undefined)
    assert.equal(balancer.get({ key: 'k', tried: balancer.targets }), undefined)
  })

  test(`${strategy}: an upstream without targets has none`, () => {
    const balancer = balancerOf({ strategy, servers: [] })

    assert.equal(balancer.get({ key: 'k', tried: undefined }), undefined)
  })

  test(`${strategy}: targets of weight 0 only are as none`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1 weight=0', 'h2:1 weight=0'] })

    assert.equal(balancer.get({ key: 'k', tried: undefined }), undefined)
  })

  test(`${strategy}: every target is tried once before an exchange gives up`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1 backup'] })

    const tried = exchange(balancer, () => true, 'k')

    assert.deepEqual(tried.slice(0, 3).sort(), ['a', 'b', 'c'])
    assert.deepEqual(tried.slice(3), ['d', '502'])
  })

  test(`${strategy}: backups are used while no primary is available, and not after`, () => {
    const clock = new FakeClock()
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1 backup', 'h3:1 backup'], clock })

    exchange(balancer, (target) => !target.backup, 'k')
    const meanwhile = letterOf(balancer, balancer.get({ key: 'k', tried: undefined }))
    clock.time += 10_001
    const after = letterOf(balancer, balancer.get({ key: 'k', tried: undefined }))

    assert.match(meanwhile, /^[bc]$/)
    assert.equal(after, 'a')
  })

  test(`${strategy}: a target removed while an attempt is under way is never picked, and its release works`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1', 'h3:1'] })
    const removed = balancer.get({ key: 'k', tried: undefined })
    assert.ok(removed)
    balancer.acquire(removed)

    const isRemoved = balancer.remove(removed.url)
    balancer.release(removed, 'failure')
    const picked = Array.from({ length: 20 }, (_, index) => balancer.get({ key: `k${index}`, tried: undefined }))

    assert.equal(isRemoved, true)
    assert.equal(removed.inFlight, 0)
    assert.equal(picked.includes(removed), false)
    assert.equal(picked.includes(undefined), false)
  })
}

test('primaries at their limit overflow to the backup, until it is full too', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1 max_conns=2', 'h2:1 backup max_conns=3'] })

  assert.equal(hold(balancer, 6), 'a,a,b,b,b,502')
})

test('an attempt that ends makes room, whatever its outcome', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1 max_conns=1'] })
  const outcomes: Outcome[] = ['success', 'failure', 'neutral']

  const picked = outcomes.map((outcome) => {
    const target = balancer.get()
    if (target === undefined) return '502'
    balancer.acquire(target)
    const whileHeld = letterOf(balancer, balancer.get())
    balancer.release(target, outcome)
    return whileHeld + letterOf(balancer, balancer.get())
  })

  assert.deepEqual(picked, ['502a', '502a', '502a'])
})

test('the only target is used whatever its failures, but not twice by one exchange', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'] })

  assert.deepEqual(
    Array.from({ length: 3 }, () => exchange(balancer, () => true)),
    [
      ['a', '502'],
      ['a', '502'],
      ['a', '502']
    ]
  )
})

test('the only target does not carry its failures along when a second one joins', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'] })
  exchange(balancer, () => true)

  balancer.add('http://h2:1')

  assert.equal(sequence(balancer, 3), 'a,b,a')
})

test('a target that was left alone is used again at once, though it had failed', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'] })
  exchange(balancer, () => true)

  balancer.remove('http://h2:1')

  assert.equal(balancer.get()?.url, 'http://h1:1')
})

test('a target that served alone after its failures has none when a second one joins', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'] })
  exchange(balancer, () => true)
  balancer.remove('http://h2:1')
  exchange(balancer, () => false)

  balancer.add('http://h3:1')

  assert.equal(sequence(balancer, 3), 'b,a,b')
})

test('after failTimeout one attempt probes a failed target, and the others wait for its outcome', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'], clock })
  exchange(balancer, isFirst)
  clock.time += 10_001

  const probe = balancer.get()
  assert.ok(probe)
  balancer.acquire(probe)
  const during = sequence(balancer, 3)
  clock.time += 1
  balancer.release(probe, 'success')
  const after = sequence(balancer, 4)

  assert.equal(probe.url, 'http://h1:1')
  assert.equal(during, 'b,b,b')
  assert.equal(after, 'a,b,a,b')

  function isFirst(target: Target) {
    return target.url === 'http://h1:1'
  }
})

test('a probe whose client left decides nothing; the next one comes after failTimeout', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'], clock })
  exchange(balancer, (target) => target.port === 1 && target.hostname === 'h1')
  clock.time += 10_001

  const probe = balancer.get()
  assert.ok(probe)
  balancer.acquire(probe)
  balancer.release(probe, 'neutral')
  const soon = sequence(balancer, 2)
  clock.time += 10_001
  const later = sequence(balancer, 2)

  assert.equal(soon, 'b,b')
  assert.equal(later, 'a,b')
})

test('a success within the window does not forgive a failure; one in the next window does', () => {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1 max_fails=3', 'h2:1 max_fails=3'], clock })
  exchange(balancer, () => true)
  const [first] = balancer.targets

  clock.time += 10_000
  sequence(balancer, 2)
  const within = first?.fails
  clock.time += 1
  sequence(balancer, 2)
  const next = first?.fails

  assert.deepEqual([within, next], [1, 0])
})

test('a url is added once, with or without a slash at its end', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'] })

  assert.throws(() => balancer.add('http://h1:1/'), new DuplicateTargetError('http://h1:1', 'test'))
  assert.equal(balancer.targets.length, 1)
})

test('a target that cannot be added leaves the balancer as it was', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'] })

  assert.throws(() => balancer.add({ url: 'http://h2:1', weight: -1 }), InvalidTargetError)
  assert.equal(sequence(balancer, 2), 'a,a')
})

test('removing says whether there was such a target', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1'] })

  assert.deepEqual(
    [balancer.remove('http://h2:1'), balancer.remove('http://h1:1/'), balancer.remove('http://h1:1')],
    [false, true, false]
  )
  assert.deepEqual(balancer.targets, [])
})

test('a url that comes back after its removal starts afresh', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'] })
  const [old] = balancer.targets
  assert.ok(old)
  balancer.acquire(old)

  balancer.remove(old.url)
  const fresh = balancer.add(old.url)
  balancer.release(old, 'failure')

  assert.notEqual(fresh, old)
  assert.deepEqual([fresh.inFlight, fresh.fails, old.inFlight], [0, 0, 0])
})

test('the list of targets that was read before a change stays as it was', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1'] })
  const before = balancer.targets

  balancer.remove('http://h1:1')

  assert.equal(before.length, 2)
  assert.equal(balancer.targets.length, 1)
})

test('a strategy observes the outcomes of its own group, and nothing of a target that left', () => {
  const seen: string[][] = []
  const factory: StrategyFactory = {
    name: 'recording',
    create() {
      const group: string[] = []
      seen.push(group)
      return {
        add: (target) => group.push(`add ${target.hostname}`),
        remove: (target) => group.push(`remove ${target.hostname}`),
        get: () => undefined,
        begin: (target) => group.push(`begin ${target.hostname} ${target.inFlight}`),
        observe: (target, outcome, milliseconds) =>
          group.push(`${outcome} ${target.hostname} ${target.inFlight} ${milliseconds}`)
      }
    }
  }
  const targets = ['http://h1', 'http://h2', { url: 'http://h3', backup: true }]
  const balancer = createBalancers({
    strategies: [factory],
    upstreams: { test: { strategy: 'recording', targets } }
  }).get('test')
  const [first, second, third] = balancer.targets
  assert.ok(first && second && third)

  for (const target of [first, first, second, third]) balancer.acquire(target)
  balancer.release(first, 'success', 12.5)
  balancer.release(third, 'neutral')
  balancer.remove(second.url)
  balancer.release(second, 'failure')

  assert.deepEqual(seen, [
    ['add h1', 'add h2', 'begin h1 1', 'begin h1 2', 'begin h2 1', 'success h1 1 12.5', 'remove h2'],
    ['add h3', 'begin h3 1', 'neutral h3 0 undefined']
  ])
})

test('a group knows how many attempts are in flight at its targets, those at targets that left aside', () => {
  const balancer = balancerOf({ strategy: 'round-robin', servers: ['h1:1', 'h2:1', 'h3:1', 'h4:1 backup'] })
  const [first, second, , backup] = balancer.targets
  assert.ok(first && second && backup)

  for (const target of [first, first, second, second, backup]) balancer.acquire(target)
  const before = [first.group.inFlight, backup.group.inFlight]
  balancer.remove(second.url)
  balancer.release(second, 'success')
  balancer.release(first, 'failure')

  assert.deepEqual(before, [4, 1])
  assert.deepEqual([first.group.inFlight, backup.group.inFlight], [1, 1])
})

const changes: {
  name: string
  change(balancer: Balancer, target: Target, clock: FakeClock): void
  expected: number
}[] = [
  { name: 'an attempt begins and ends well', change: hit('success'), expected: 0 },
  { name: 'a target goes down', change: (_balancer, target) => Object.assign(target, { down: true }), expected: 1 },
  { name: 'an attempt fails', change: hit('failure'), expected: 1 },
  { name: 'the client leaves', change: hit('neutral'), expected: 0 },
  {
    name: 'a target is full, and then is not',
    change: (balancer, target) => {
      balancer.acquire(target)
      hit('success')(balancer, target)
    },
    expected: 2
  },
  {
    name: 'a target fails, is probed and forgiven',
    change: (balancer, target, clock) => {
      hit('failure')(balancer, target)
      clock.time += 10_001
      balancer.get()
      hit('success')(balancer, target)
    },
    expected: 3
  }
]
for (const { name, change, expected } of changes) {
  test(`when ${name}, the group counts ${expected} changes`, () => {
    const clock = new FakeClock()
    const servers = ['h1:1 max_conns=2', 'h2:1 backup']
    const balancer = balancerOf({ strategy: 'round-robin', servers, clock })
    const [target, backup] = balancer.targets
    assert.ok(target && backup)

    change(balancer, target, clock)

    assert.deepEqual([target.group.changes, backup.group.changes], [expected, 0])
  })
}

function hit(outcome: Outcome): (balancer: Balancer, target: Target) => void {
  return (balancer, target) => {
    balancer.acquire(target)
    balancer.release(target, outcome)
  }
}
