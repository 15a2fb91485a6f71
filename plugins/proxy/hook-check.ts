import type { FastifyRequest } from 'fastify'

/**
 * Tells whether anybody but ourselves has an onSend hook on the route of a request. Fastify has no public way to ask, so
 * its route context is looked up by the description of its symbol; where that is not found, the answer is yes, and
 * responses take the longer way through Fastify.
 *
 * @param own name of the function that is our own hook
 */
export function createHookCheck(own: string): (request: FastifyRequest) => boolean {
  let symbol: symbol | undefined
  return (request) => {
    symbol ??= Object.getOwnPropertySymbols(request).find(({ description }) => description === 'fastify.context')
    if (symbol === undefined) return true
    const context: unknown = Reflect.get(request, symbol)
    if (typeof context !== 'object' || context === null || !('onSend' in context)) return true
    const { onSend } = context
    if (onSend === null) return false
    return !(Array.isArray(onSend) && onSend.length === 1 && onSend[0]?.name === `bound ${own}`)
  }
}
