/** One place at which two JSON values differ. A side that has nothing there is undefined. */
export interface JsonDifference {
  /** A JSON pointer (RFC 6901); empty for the whole. */
  readonly path: string
  readonly primary: unknown
  readonly mirror: unknown
}

/** The names of a JSON pointer, in which `*` stands for any name or index. */
export type PointerPattern = readonly string[]

interface Pair {
  readonly path: string
  readonly primary: unknown
  readonly mirror: unknown
  /** What is left of the patterns that have matched so far. */
  readonly ignored: readonly PointerPattern[]
}

/** Takes a JSON pointer apart. */
export function parsePointer(pointer: string): PointerPattern {
  return pointer
    .slice(1)
    .split('/')
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/**
 * Where two values made by `JSON.parse` differ, up to `limit` places. The order of names in an object does not matter, that
 * of items in an array does. Without recursion, which somebody else's nesting could drive out of the stack.
 */
export function differJson(
  primary: unknown,
  mirror: unknown,
  ignored: readonly PointerPattern[],
  limit: number
): JsonDifference[] {
  const found: JsonDifference[] = []
  const open: Pair[] = [{ path: '', primary, mirror, ignored }]
  for (let pair = open.pop(); pair !== undefined && found.length < limit; pair = open.pop()) {
    if (pair.primary === pair.mirror) continue
    const names = namesOf(pair)
    if (names === undefined) found.push({ path: pair.path, primary: pair.primary, mirror: pair.mirror })
    // From behind, so that they are taken in their order.
    else for (const name of names.reverse()) addChild(open, pair, name)
  }
  return found
}

/** What to go on with below two values; undefined when they are not two objects, or two arrays. */
function namesOf({ primary, mirror }: Pair): string[] | undefined {
  if (!isContainer(primary) || !isContainer(mirror)) return undefined
  if (Array.isArray(primary) !== Array.isArray(mirror)) return undefined
  return [...new Set([...Object.keys(primary), ...Object.keys(mirror)])]
}

function addChild(open: Pair[], { path, primary, mirror, ignored }: Pair, name: string): void {
  const below = ignored.filter(([first]) => first === '*' || first === name).map((pattern) => pattern.slice(1))
  if (below.some((pattern) => pattern.length === 0)) return
  const child = `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
  open.push({ path: child, primary: valueAt(primary, name), mirror: valueAt(mirror, name), ignored: below })
}

function valueAt(container: unknown, name: string): unknown {
  return isContainer(container) && Object.hasOwn(container, name) ? Reflect.get(container, name) : undefined
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
