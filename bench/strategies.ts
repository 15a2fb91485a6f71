import { createBalancers, type PickContext } from '../plugins/balancer/index.ts'
import { type Case, interleave, median, table, timePerCall } from './measure.ts'

const SIZES = [3, 10, 100]

/** What one choice of a target costs, by strategy and number of targets, all of them available. */
export async function benchStrategies(quick: boolean): Promise<string> {
  const calls = quick ? 20_000 : 500_000
  const { names } = createBalancers().strategies
  const cases = names.flatMap((strategy) => SIZES.map((size) => pickCase(strategy, size, calls)))
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
  const contexts: PickContext[] = Array.from({ length: 1_000 }, (_, i) => ({ key: `user-${i}`, tried: undefined }))
  return {
    name: nameOf(strategy, size),
    run: () => timePerCall(calls, (call) => balancer.get(contexts[call % contexts.length]))
  }
}

function nameOf(strategy: string, size: number): string {
  return `${strategy} ${size}`
}
