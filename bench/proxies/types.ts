import type { Certificate } from '../certificate.ts'

/** What a scenario asks of a proxy beside forwarding. */
export interface Features {
  /** Layers of the onion that do nothing; only for the gateway. */
  readonly layers: number
  /** Routes, the last of which is the one that is asked for; only for the gateway. */
  readonly routes: number
  /** Targets, all of which are the origin; only for the gateway. */
  readonly targets: number
  /** What chooses among them; only for the gateway. */
  readonly strategy: object
  /** Answers by a function in the process; only for the gateway in an app. */
  readonly functionTarget: boolean
  /** Processes that serve; one that is not supervised by default. */
  readonly workers: number
  /** Variables of the environment of programs on Node.js. */
  readonly env: Readonly<Record<string, string>>
  readonly webSocket: boolean
  readonly tls: Certificate | undefined
}

/** What a proxy is set up with. */
export interface Setup extends Features {
  readonly port: number
  readonly origin: number
  /** An empty folder for its files. */
  readonly folder: string
}

/** A program to be started. */
export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export type Capability = 'tls' | 'webSocket'

export interface Contender {
  readonly name: string
  /** What it can be set up for beside forwarding in HTTP/1.1. @default none */
  readonly can?: readonly Capability[]
  /** @returns how to start it, or why it cannot be: one line */
  prepare(setup: Setup): Command | string
}

export const PLAIN: Features = {
  layers: 0,
  routes: 1,
  targets: 1,
  strategy: {},
  functionTarget: false,
  workers: 1,
  env: {},
  webSocket: false,
  tls: undefined
}
