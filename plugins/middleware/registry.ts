import { DuplicateMiddlewareError, InvalidMiddlewareError, UnknownMiddlewareError } from '../errors.ts'
import { flatten } from './layers.ts'
import { Onion } from './onion.ts'
import type { Layer, SingleLayer } from './types.ts'

/** Where a layer applies. */
export interface UseOptions {
  /** Ids of the routes that get the layer. Every route when left out. */
  readonly routes?: readonly string[]
}

interface Use {
  readonly layers: readonly SingleLayer[]
  readonly routes: ReadonlySet<string> | undefined
}

/** The layers of a scope, decorated as `app.middleware`: which are in use where, and which are known by name. */
export class MiddlewareRegistry {
  readonly #uses: Use[] = []
  readonly #known = new Map<string, SingleLayer>()
  readonly #routes = new Set<string>()
  readonly #outer: MiddlewareRegistry | undefined
  #serves = false
  /** Whether the layers run on every Fastify route of their scope. */
  hooked = false
  #scoped = false
  #sealed = false

  /**
   * Puts one or more layers into use, inside of those used before: for every route, or for those named.
   * Throws `InvalidMiddlewareError`, also when the application is ready.
   */
  use(layer: Layer | readonly Layer[], options: UseOptions = {}): this {
    this.#checkOpen('use')
    const { routes } = options
    if (routes !== undefined && !Array.isArray(routes)) {
      throw new InvalidMiddlewareError(`'routes' must be an array of route ids, found ${typeof routes}`)
    }
    this.#uses.push({ layers: flatten(layer), routes: routes && new Set(routes) })
    this.#scoped ||= routes !== undefined
    return this
  }

  /**
   * Makes a layer known by its name, for the `middleware` list of a route, without putting it into use.
   * Throws `DuplicateMiddlewareError`, and `InvalidMiddlewareError`, also when the application is ready.
   */
  add(layer: SingleLayer): this {
    this.#checkOpen('add')
    const [only, ...more] = flatten(layer)
    if (only === undefined || more.length > 0 || only.name === '') {
      throw new InvalidMiddlewareError('only a single layer that has a name can be added')
    }
    if (this.#known.has(only.name)) throw new DuplicateMiddlewareError(only.name)
    this.#known.set(only.name, only)
    return this
  }

  /** Whether the layers of one route may differ from those of another. */
  get scoped(): boolean {
    return this.#scoped
  }

  /** The names that a route's `middleware` list may hold. */
  names(): string[] {
    return [...this.#known.keys()]
  }

  /**
   * The onion of a route: the layers in use for it, in the order of their use, then those it names itself.
   * Undefined when there are none. Throws `UnknownMiddlewareError`.
   */
  resolve(route: string | undefined, names: readonly string[] = []): Onion | undefined {
    const layers = [...this.#layersOf(route), ...names.map((name) => this.#get(name))]
    return layers.length === 0 ? undefined : new Onion(layers)
  }

  /** @param outer the registry of a scope around this one, whose layers stand outside of those here */
  constructor(outer?: MiddlewareRegistry) {
    this.#outer = outer
  }

  /** Tells which routes a gateway has; several may share a registry, and each declares its own. */
  declareRoutes(ids: readonly string[]): void {
    for (const id of ids) this.#routes.add(id)
    this.#serves = true
    this.#outer?.declareRoutes(ids)
  }

  /** Whether a gateway runs these layers on its own routes. */
  get servesGateway(): boolean {
    return this.#serves
  }

  /** The route ids that layers were put into use for and that nobody declared. */
  unknownRoutes(): string[] {
    const named = new Set(this.#uses.flatMap(({ routes }) => [...(routes ?? [])]))
    return [...named].filter((id) => !this.#routes.has(id))
  }

  /** From here on, `use` and `add` throw: onions that are already built would not see the layer. */
  seal(): void {
    this.#sealed = true
  }

  #layersOf(route: string | undefined): SingleLayer[] {
    const used = this.#uses.filter(({ routes }) => routes === undefined || (route !== undefined && routes.has(route)))
    const around = this.#outer === undefined ? [] : this.#outer.#layersOf(route)
    return [...around, ...used.flatMap((use) => use.layers)]
  }

  #get(name: string): SingleLayer {
    const layer = this.#find(name)
    if (layer === undefined) throw new UnknownMiddlewareError(name, this.names().join(', '))
    return layer
  }

  #find(name: string): SingleLayer | undefined {
    return this.#known.get(name) ?? (this.#outer === undefined ? undefined : this.#outer.#find(name))
  }

  #checkOpen(method: string): void {
    if (this.#sealed) throw new InvalidMiddlewareError(`${method}() was called after the application was ready`)
  }
}
