import proxyAddr from '@fastify/proxy-addr'

/** Whether a peer is a trusted proxy: 0 hops from here, or as many as those in `x-forwarded-for` say. */
export type TrustCheck = (address: string, hop: number) => boolean

/** Compiles `trustedProxies`. `unix` is whoever reaches a unix socket: such a peer has no address. */
export function compileTrust(trusted: readonly string[]): TrustCheck {
  const known = proxyAddr.compile(trusted.filter((one) => one !== 'unix'))
  if (!trusted.includes('unix')) return known
  return (address, hop) => (hop === 0 && !address) || known(address, hop)
}
