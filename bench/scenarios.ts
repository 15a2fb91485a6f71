import { requestOf } from './load.ts'

/** What is sent through every proxy. */
export interface Scenario {
  readonly title: string
  readonly request: Buffer
  readonly connections: number
  /** Requests of one round. */
  readonly requests: number
  /** Layers and routes of the gateway; where there are any, only the gateway is measured. */
  readonly layers?: number
  readonly routes?: number
}

const SMALL = requestOf('GET', '/users/42?full=1')

export const scenarios: Readonly<Record<string, Scenario>> = {
  'small-get': { title: 'small GET', request: SMALL, connections: 32, requests: 20_000 },
  'get-64k': { title: 'GET, 64 KiB', request: requestOf('GET', '/bytes/65536'), connections: 32, requests: 8_000 },
  'post-16k': { title: 'POST, 16 KiB', request: requestOf('POST', '/', 16_384), connections: 32, requests: 8_000 },
  'download-1m': { title: 'GET, 1 MiB', request: requestOf('GET', '/bytes/1048576'), connections: 8, requests: 800 },
  layers: { title: '10 layers', request: SMALL, connections: 32, requests: 20_000, layers: 10 },
  'many-routes': { title: '1,000 routes', request: SMALL, connections: 32, requests: 20_000, routes: 1_000 }
}
