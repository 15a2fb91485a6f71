/**
 * What a gateway in front of the demo backends prints.
 * @param address of the gateway
 * @param curl how to call curl, and the beginning of the URL
 */
export function greeting(address: string, curl: string): string {
  return `
The gateway listens on ${address} with three demo backends, weights 5, 1, 1. Try:

  # smooth weighted round robin: alpha alpha beta alpha gamma alpha alpha
  for i in 1 2 3 4 5 6 7; do ${curl}/ | cut -d'"' -f4; done

  # what the target sees of your headers
  ${curl}/headers -H 'x-hello: world'

  # a body
  ${curl}/upload -d 'some data'

GATEWAY_TARGETS or GATEWAY_CONFIG put your own services behind it, see .env.example.

`
}
