/** What the precedence of a candidate depends on. */
export interface Precedence {
  /** Explicit order, lower first; Infinity if the route gives none. */
  readonly order: number
  /** A host, `.example.com` for a wildcard, or `''` for any. */
  readonly host: string
  /** `rest` is the prefix `/`, which everything matches. */
  readonly kind: 'exact' | 'prefix' | 'regex' | 'rest'
  /** Canonical path, or the source of the regular expression. */
  readonly path: string
  readonly methods: number
  readonly headers: number
  readonly parameters: number
}

const KINDS = ['exact', 'prefix', 'regex', 'rest'] as const

/**
 * Sorts candidates by the precedence of the Gateway API, led by an explicit order. Regular expressions, which the Gateway
 * API leaves open, go after every prefix but `/`. Equals keep the order of the list, since sorting is stable.
 *
 * @see https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule
 */
export function comparePrecedence(a: Precedence, b: Precedence): number {
  return (
    // Two routes without an order make NaN here, which decides nothing either.
    a.order - b.order ||
    // Of the hosts that match a request, the exact one is the longest, and '' for any host the shortest.
    b.host.length - a.host.length ||
    KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) ||
    b.path.length - a.path.length ||
    Number(b.methods > 0) - Number(a.methods > 0) ||
    b.headers - a.headers ||
    b.parameters - a.parameters
  )
}
