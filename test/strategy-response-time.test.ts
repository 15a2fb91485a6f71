import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Balancer, Outcome } from '../plugins/balancer/index.ts'
import { createBalancers } from '../plugins/balancer/index.ts'
import { InvalidStrategyError } from '../plugins/errors.ts'
import { balancerOf, FakeClock, letterOf, scripted, type UpstreamSketch } from './balancer-helper.ts'

/** What happened at a target, by its letter, since the beginning. */
type Event =
  | { at: string; took: number | undefined; outcome?: Outcome }
  | { at: string; begins: number }
  | { passes: number }

interface Case {
  name: string
  servers?: string[]
  events: Event[]
  draws?: number[]
  expected: string
}

const least: Case[] = [
  { name: 'the faster one', events: [took('a', 20), took('b', 10)], expected: 'b' },
  { name: 'the first sample is the average', events: [took('a', 100), took('b', 101)], expected: 'a' },
  {
    name: 'a later sample is a tenth of it',
    events: [took('a', 100), took('a', 200), took('b', 110.1)],
    expected: 'a'
  },
  {
    name: 'a later sample is no more than a tenth of it',
    events: [took('a', 100), took('a', 200), took('b', 109.9)],
    expected: 'b'
  },
  {
    name: 'attempts in flight multiply it, the one to come included',
    events: [took('a', 10), took('b', 29), { at: 'a', begins: 2 }],
    expected: 'b'
  },
  {
    name: 'few attempts in flight do not outweigh a slow target',
    events: [took('a', 10), took('b', 31), { at: 'a', begins: 2 }],
    expected: 'a'
  },
  {
    name: 'weight divides it',
    servers: ['h1:1 weight=3', 'h2:1'],
    events: [took('a', 29), took('b', 10)],
    expected: 'a'
  },
  { name: 'an unknown target comes first', events: [took('a', 0.1)], expected: 'b' },
  {
    name: 'an unknown target that has an attempt in flight comes last',
    events: [took('a', 999), { at: 'a', begins: 1 }, { at: 'b', begins: 1 }],
    expected: 'a'
  },
  {
    name: 'unknown targets are filled evenly',
    servers: ['h1:1', 'h2:1', 'h3:1'],
    events: [
      { at: 'a', begins: 2 },
      { at: 'b', begins: 1 },
      { at: 'c', begins: 2 }
    ],
    expected: 'b'
  },
  { name: 'a tie, decided for the first', events: [], draws: [0.49], expected: 'a' },
  { name: 'a tie, decided for the second', events: [], draws: [0.5], expected: 'b' },
  {
    name: 'a failure counts as a second at least',
    events: [{ at: 'a', took: 1, outcome: 'failure' }, took('b', 999)],
    servers: ['h1:1 max_fails=0', 'h2:1'],
    expected: 'b'
  },
  { name: 'so does an error', events: [{ at: 'a', took: 1, outcome: 'error' }, took('b', 999)], expected: 'b' },
  {
    name: 'an error of which nobody took the time',
    events: [{ at: 'a', took: undefined, outcome: 'error' }, took('b', 999)],
    expected: 'b'
  },
  {
    name: 'a slow error counts as what it took',
    events: [{ at: 'a', took: 3000, outcome: 'error' }, took('b', 2999)],
    expected: 'b'
  },
  {
    name: 'a client that left soon says nothing',
    events: [took('a', 10), took('b', 11), { at: 'b', took: 1, outcome: 'neutral' }],
    expected: 'a'
  },
  {
    name: 'a client that left after long has waited that long',
    events: [took('a', 10), took('b', 11), { at: 'a', took: 1000, outcome: 'neutral' }],
    expected: 'b'
  },
  {
    name: 'a client that left an unknown target soon says nothing',
    events: [took('b', 10), { at: 'a', took: 11, outcome: 'neutral' }],
    expected: 'a'
  },
  {
    name: 'a client that left an unknown target after long has waited that long',
    events: [took('b', 10), { at: 'a', took: 1001, outcome: 'neutral' }],
    expected: 'b'
  },
  {
    name: 'a success of which nobody took the time says nothing',
    events: [took('a', 10), took('b', 11), { at: 'b', took: undefined }],
    expected: 'a'
  },
  {
    name: 'an average is halved after 5 s without a sample',
    events: [took('b', 10), { passes: 4_000 }, took('a', 5.1), { passes: 1_000 }],
    expected: 'b'
  },
  {
    name: 'an average is not halved before',
    events: [took('b', 10), { passes: 4_000 }, took('a', 5.1), { passes: 999 }],
    expected: 'a'
  },
  {
    name: 'an average is halved again every 5 s',
    events: [took('b', 40), { passes: 12_000 }, took('a', 5.1), { passes: 3_000 }],
    expected: 'b'
  },
  {
    name: 'an average is not halved while attempts are in flight',
    events: [took('b', 10), { at: 'b', begins: 1 }, { passes: 50_000 }, took('a', 19)],
    expected: 'a'
  }
]
for (const one of least) {
  test(`least response time: ${one.name}`, () => {
    assert.equal(pickAfter('least-response-time', one), one.expected)
  })
}

const peak: Case[] = [
  { name: 'the faster one of the two drawn', events: [took('a', 20), took('b', 10)], expected: 'b' },
  {
    name: 'a slower sample is the average at once',
    events: [took('a', 10), took('b', 50), took('a', 51)],
    expected: 'b'
  },
  {
    name: 'a faster sample hardly counts at once',
    events: [took('a', 50), took('b', 49), { passes: 1 }, took('a', 1)],
    expected: 'b'
  },
  {
    // 100 x e^-1 + 10 x (1 - e^-1) = 43.1
    name: 'after the decay time a faster sample is most of it',
    events: [took('a', 100), { passes: 10_000 }, took('a', 10), took('b', 43)],
    expected: 'b'
  },
  {
    name: 'after the decay time a faster sample is no more than that',
    events: [took('a', 100), { passes: 10_000 }, took('a', 10), took('b', 43.2)],
    expected: 'a'
  },
  {
    // 100 x e^-2 = 13.5
    name: 'without samples the average decays',
    events: [took('a', 100), { passes: 20_000 }, took('b', 13.6)],
    expected: 'a'
  },
  {
    name: 'without samples the average decays no faster than that',
    events: [took('a', 100), { passes: 20_000 }, took('b', 13.5)],
    expected: 'b'
  },
  {
    name: 'attempts in flight multiply it, the one to come included',
    events: [took('a', 10), took('b', 29), { at: 'a', begins: 2 }],
    expected: 'b'
  },
  {
    name: 'weight divides it',
    servers: ['h1:1', 'h2:1 weight=3'],
    events: [took('a', 10), took('b', 29)],
    draws: [0, 0],
    expected: 'b'
  },
  { name: 'an unknown target comes first', events: [took('a', 0.1)], expected: 'b' },
  {
    name: 'an unknown target that has an attempt in flight comes last',
    events: [took('a', 9999), { at: 'a', begins: 9 }, { at: 'b', begins: 1 }],
    expected: 'a'
  },
  {
    name: 'the first drawn of two that are alike',
    servers: ['h1:1', 'h2:1', 'h3:1'],
    events: [],
    draws: [0.9, 0],
    expected: 'c'
  },
  {
    name: 'a client that left says nothing',
    events: [took('a', 10), took('b', 11), { at: 'a', took: 1000, outcome: 'neutral' }],
    expected: 'a'
  },
  {
    name: 'a response of which nobody took the time says nothing',
    events: [took('a', 10), took('b', 11), { at: 'b', took: undefined }],
    expected: 'a'
  },
  {
    // 10 + (1000 - 10) / 10 = 109
    name: 'an error counts as a second, of which a tenth comes in at once',
    events: [took('a', 10), took('b', 108.9), { at: 'a', took: 1, outcome: 'error' }],
    expected: 'b'
  },
  {
    name: 'an error counts no more than that',
    events: [took('a', 10), took('b', 109.1), { at: 'a', took: undefined, outcome: 'error' }],
    expected: 'a'
  },
  {
    name: 'an error that took longer is a peak like any other',
    events: [took('a', 10), took('b', 2999), { at: 'a', took: 3000, outcome: 'error' }],
    expected: 'b'
  }
]
for (const one of peak) {
  test(`peak ewma: ${one.name}`, () => {
    assert.equal(pickAfter('peak-ewma', { draws: [0, 0], ...one }), one.expected)
  })
}

test('peak ewma: the decay time is an option', () => {
  const events: Event[] = [took('a', 100), { passes: 2_000 }, took('b', 13.6)]
  const strategy = { name: 'peak-ewma', decay: '1s' }

  assert.equal(pickAfter(strategy, { name: '', events, draws: [0, 0], expected: 'a' }), 'a')
})

for (const [decay, message] of [
  ['soon', 'decay must be a duration such as 10s, found "soon"'],
  [-1, 'decay must be a duration such as 10s, found -1'],
  [0, 'decay must be more than 0']
] as const) {
  test(`peak ewma: a decay time of ${decay} is refused`, () => {
    const add = () => createBalancers().add('a', { strategy: { name: 'peak-ewma', decay } })

    assert.throws(add, new InvalidStrategyError('peak-ewma', message))
  })
}

for (const strategy of ['least-response-time', 'peak-ewma']) {
  test(`${strategy}: asks for times`, () => {
    assert.equal(balancerOf({ strategy, servers: ['h1:1', 'h2:1'] }).needs.latency, true)
  })

  test(`${strategy}: a target that left and comes back is unknown again`, () => {
    const balancer = balancerOf({ strategy, servers: ['h1:1', 'h2:1'] })
    apply(balancer, new FakeClock(), [took('a', 10), took('b', 1000)])

    balancer.remove('http://h2:1')
    balancer.add('http://h2:1')

    assert.equal(balancer.get()?.url, 'http://h2:1')
  })
}

function pickAfter(
  strategy: UpstreamSketch['strategy'],
  { servers = ['h1:1', 'h2:1'], events, draws = [] }: Case
): string {
  const clock = new FakeClock()
  const balancer = balancerOf({ strategy, servers, clock, random: scripted(draws) })
  apply(balancer, clock, events)
  return letterOf(balancer, balancer.get())
}

function apply(balancer: Balancer, clock: FakeClock, events: readonly Event[]): void {
  for (const event of events) {
    if ('passes' in event) {
      clock.time += event.passes
      continue
    }
    const target = balancer.targets[event.at.charCodeAt(0) - 97]
    assert.ok(target)
    if ('begins' in event) {
      for (let count = 0; count < event.begins; count++) balancer.acquire(target)
    } else {
      balancer.acquire(target)
      balancer.release(target, event.outcome ?? 'success', event.took)
    }
  }
}

function took(at: string, milliseconds: number): Event {
  return { at, took: milliseconds }
}
