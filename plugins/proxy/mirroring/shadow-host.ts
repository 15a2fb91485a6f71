/**
 * The Host of a copy: `-shadow` after the name, before the port, as Envoy writes it. An address of IPv6 stays, for there
 * is no name to add it to.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routeaction-requestmirrorpolicy
 */
export function shadowHost(host: string): string {
  if (host === '' || host.startsWith('[')) return host
  const colon = host.indexOf(':')
  return colon < 0 ? `${host}-shadow` : `${host.slice(0, colon)}-shadow${host.slice(colon)}`
}
