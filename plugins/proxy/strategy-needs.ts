import type { FastifyBaseLogger } from 'fastify'
import type { Balancer, StrategyNeeds, Target } from '../balancer/index.ts'
import type { HashKey } from '../config/index.ts'
import { compileHashKey, type KeyReader } from './routing/hash-key.ts'

/** What is read from a request for the strategy of its upstream. */
export interface StrategyReaders {
  readonly key: KeyReader | undefined
  readonly token: KeyReader | undefined
}

/** @param hashKey of the upstream, if it has one */
export function compileReaders({ key, affinity }: StrategyNeeds, hashKey: HashKey | undefined): StrategyReaders {
  return {
    key: compileHashKey(hashKey ?? (key === 'ip' ? { from: 'ip' } : undefined)),
    token: affinity === undefined ? undefined : compileHashKey({ from: affinity.from, name: affinity.name })
  }
}

/** Says at boot what the strategy of an upstream can hardly do without. */
export function warnOfNeeds(
  log: FastifyBaseLogger,
  upstream: string,
  { key, affinity }: StrategyNeeds,
  hashKey: HashKey | undefined
): void {
  if (key === true && hashKey === undefined) {
    log.warn({ upstream }, 'the strategy hashes a key, but the upstream has no hashKey')
  }
  if (affinity?.lasting === false) {
    log.warn({ upstream }, 'the strategy has no secret: clients lose their target when the process ends')
  }
}

/**
 * Adds to the headers for the client the token by which it will be known, where it needs a new one.
 * @param brought the token of the request
 */
export function giveToken(pairs: string[], balancer: Balancer, target: Target, brought: string | undefined): void {
  const { affinity } = balancer.needs
  if (affinity === undefined) return
  const token = balancer.renewToken(target, brought)
  if (token === undefined) return
  if (affinity.from === 'header') pairs.push(affinity.name, token)
  else pairs.push('set-cookie', `${affinity.name}=${token}${affinity.attributes}`)
}
