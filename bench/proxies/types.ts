/** What a proxy is set up with. */
export interface Setup {
  readonly port: number
  readonly origin: number
  /** An empty folder for its files. */
  readonly folder: string
  /** Layers of the onion that do nothing; only for the gateway. */
  readonly layers: number
  /** Routes, the last of which is the one that is asked for; only for the gateway. */
  readonly routes: number
}

/** A program to be started. */
export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Contender {
  readonly name: string
  /** @returns how to start it, or why it cannot be: one line */
  prepare(setup: Setup): Command | string
}
