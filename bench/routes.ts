import { parseOptions } from '../plugins/config/index.ts'
import { createRouteTable } from '../plugins/proxy/routing/route-table.ts'
import { type Case, interleave, median, table, timePerCall } from './measure.ts'

const SIZES = [10, 1_000]

/** What it costs to find the route of a request, every route in turn, in a small table and in a large one. */
export async function benchRoutes(quick: boolean): Promise<string> {
  const calls = quick ? 20_000 : 500_000
  const results = await interleave(
    SIZES.map((size) => findCase(size, calls)),
    quick ? 3 : 15
  )
  const times = [...results].map(([name, values]) => ({ name, time: median(values) }))
  const base = times[0]?.time ?? Number.NaN
  return table(
    ['routes', 'ns per find()', 'ratio'],
    times.map(({ name, time }) => [name, time.toFixed(0), (time / base).toFixed(2)])
  )
}

function findCase(size: number, calls: number): Case<number> {
  const numbers = Array.from({ length: size }, (_, i) => i)
  const { routes } = parseOptions({
    upstreams: { any: { targets: ['http://127.0.0.1:1'] } },
    routes: numbers.map((i) => ({ match: { path: `/service-${i}/v1/*`, methods: ['GET'] }, upstream: 'any' }))
  })
  const routeTable = createRouteTable(routes)
  const paths = numbers.map((i) => `/service-${i}/v1/users/42`)
  return {
    name: String(size),
    run: () => timePerCall(calls, (call) => routeTable.find('GET', 'api.example.com', paths[call % size] ?? '', {}, ''))
  }
}
