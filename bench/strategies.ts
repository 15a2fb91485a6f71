import { createBalancers, type PickContext } from '../plugins/balancer/index.ts'
import { type Case, interleave, median, table, timePerCall } from './measure.ts'

const SIZES = [3, 10, 100, 1_000]
const KEYS = 1_000

/** What one choice of a target costs, by strategy and number of targets of weights from 1 to 5, all of them available. */
export async function benchStrategies(quick: boolean): Promise<string> {
  const { names } = createBalancers().strategies
  const cases = names.flatMap((strategy) =>
    // With many targets, some strategies look at all of them.
    SIZES.map((size) => pickCase(strategy, size, quick ? 5_000 : size > 100 ? 50_000 : 200_000))
  )
  const results = await interleave(cases, quick ? 3 : 9)
  return table(
    ['ns per pick', ...SIZES.map((size) => `${size} targets`)],
    names.map((strategy) => [
      strategy,
      ...SIZES.map((size) => median(results.get(nameOf(strategy, size)) ?? []).toFixed(0))
    ])
  )
}

function pickCase(strategy: string, size: number, calls: number): Case<number> {
  const targets = Array.from({ length: size }, (_, i) => ({ url: `http://127.0.0.1:${i + 1}`, weight: (i % 5) + 1 }))
  const balancer = createBalancers({ upstreams: { bench: { strategy, targets } } }).get('bench')
  // Strategies that measure shall have something to compare.
  balancer.targets.forEach((target, i) => {
    balancer.acquire(target)
    balancer.release(target, 'success', 5 + ((i * 7) % 40))
  })
  const contexts: PickContext[] = Array.from({ length: KEYS }, (_, i) => {
    const target = balancer.targets[i % size]
    const token = target === undefined ? undefined : balancer.renewToken(target, undefined)
    return { key: balancer.needs.key === 'ip' ? `10.${i >> 8}.${i & 255}.1` : `user-${i}`, token, tried: undefined }
  })
  return {
    name: nameOf(strategy, size),
    run: () => timePerCall(calls, (call) => balancer.get(contexts[call % KEYS]))
  }
}

function nameOf(strategy: string, size: number): string {
  return `${strategy} ${size}`
}
