import { InvalidMiddlewareError } from '../errors.ts'
import type { Exchange } from './exchange.ts'
import type { Layer, LayerFunction, LayerGroup, LayerPair, NamedLayer, SingleLayer } from './types.ts'

/** A layer made ready to run: its name, and either a function or hooks. */
export interface CompiledLayer<C = Exchange> {
  readonly name: string
  readonly handle: LayerFunction<C> | undefined
  readonly onRequest: ((context: C) => unknown) | undefined
  readonly onSend: ((context: C, payload: unknown) => unknown) | undefined
  readonly onResponse: ((context: C) => unknown) | undefined
}

/** Checks layers and takes groups apart into the single layers they were made of. Throws `InvalidMiddlewareError`. */
export function flatten<C>(input: Layer<C> | readonly Layer<C>[]): readonly SingleLayer<C>[] {
  if (isList(input)) return input.flatMap(flatten)
  if (isGroup(input)) return input.layers
  check(input)
  return [input]
}

/** Makes a checked layer ready to run. Methods stay bound to the object they came from. */
export function compile<C>(layer: SingleLayer<C>): CompiledLayer<C> {
  if (typeof layer === 'function') return fromFunction(layer.name, layer)
  if ('handle' in layer) return fromFunction(layer.name, layer.handle.bind(layer))
  return {
    name: layer.name,
    handle: undefined,
    onRequest: layer.onRequest?.bind(layer),
    onSend: layer.onSend?.bind(layer),
    onResponse: layer.onResponse?.bind(layer)
  }
}

function fromFunction<C>(name: string, handle: LayerFunction<C>): CompiledLayer<C> {
  return { name, handle, onRequest: undefined, onSend: undefined, onResponse: undefined }
}

function isList<C>(input: Layer<C> | readonly Layer<C>[]): input is readonly Layer<C>[] {
  return Array.isArray(input)
}

function isGroup<C>(input: Layer<C>): input is LayerGroup<C> {
  return isObject(input) && 'layers' in input && Array.isArray(input.layers)
}

// Callers in JavaScript may pass anything, so nothing of the declared type is taken for granted here.
function check<C>(layer: SingleLayer<C>): void {
  if (!isObject(layer))
    throw new InvalidMiddlewareError(`expected a function or a pair of hooks, found ${typeOf(layer)}`)
  if (typeof layer === 'function') checkFunction(layer.name, layer)
  else if (typeof layer.name !== 'string' || layer.name === '') {
    throw new InvalidMiddlewareError('a layer that is not a function needs a name')
  } else if ('handle' in layer) checkNamed(layer)
  else checkPair(layer)
}

function checkNamed<C>(layer: NamedLayer<C>): void {
  if (typeof layer.handle !== 'function') {
    throw new InvalidMiddlewareError(`'handle' of layer '${layer.name}' is not a function`)
  }
  if ('onRequest' in layer || 'onSend' in layer || 'onResponse' in layer) {
    throw new InvalidMiddlewareError(`layer '${layer.name}' has both 'handle' and hooks`)
  }
  checkFunction(layer.name, layer.handle)
}

function checkFunction<C>(name: string, handle: LayerFunction<C>): void {
  if (handle.length === 2) return
  throw new InvalidMiddlewareError(
    `layer '${name}' takes ${handle.length} parameters instead of two, the exchange and next`
  )
}

function checkPair<C>(layer: LayerPair<C>): void {
  let hooks = 0
  for (const hook of ['onRequest', 'onSend', 'onResponse'] as const) {
    if (layer[hook] === undefined) continue
    if (typeof layer[hook] !== 'function') {
      throw new InvalidMiddlewareError(`'${hook}' of layer '${layer.name}' is not a function`)
    }
    hooks++
  }
  if (hooks === 0) throw new InvalidMiddlewareError(`layer '${layer.name}' has no onRequest, onSend or onResponse`)
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : typeof value
}
