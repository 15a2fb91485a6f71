/** The port on which a server listens. */
export function portOf(server: { address(): unknown }): number {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? Reflect.get(address, 'port') : undefined
  if (typeof port !== 'number') throw new Error('the server does not listen')
  return port
}
