import { ResponseParser } from '../plugins/proxy/transport/response-parser.ts'

/** What a parser said of one response; adjacent pieces of the body are joined. */
export interface Parsed {
  informations: [status: number, headers: string[]][]
  status: number
  reason: string
  headers: string[]
  body: string
  trailers: string[]
  /** The end of the message was reached. */
  ended: boolean
  /** Bytes follow the end of the message. */
  excess: boolean
  reusable: boolean
  /** What follows a 101 that was expected. */
  early: string | undefined
}

export interface ParseOptions {
  method?: string
  /** Whether the request asked for another protocol. */
  upgradable?: boolean
  /** Positions at which the input is split. */
  splits?: readonly number[]
  /** Whether the connection closes after the last byte. */
  close?: boolean
}

/** Parses one response. Throws BadResponseError. */
export function parse(
  input: Buffer,
  { method = 'GET', upgradable = false, splits = [], close = false }: ParseOptions = {}
): Parsed {
  const parsed: Parsed = {
    informations: [],
    status: 0,
    reason: '',
    headers: [],
    body: '',
    trailers: [],
    ended: false,
    excess: false,
    reusable: false,
    early: undefined
  }
  const parser = new ResponseParser({
    onInformation: (status, headers) => parsed.informations.push([status, headers]),
    onHead: ({ status, reason, headers }) => Object.assign(parsed, { status, reason, headers }),
    onUpgrade: ({ status, reason, headers }, early) => {
      Object.assign(parsed, { status, reason, headers, early: early.toString('latin1') })
    },
    onBody: (chunk) => {
      parsed.body += chunk.toString('latin1')
    },
    onMessageEnd: (trailers) => Object.assign(parsed, { trailers, ended: true })
  })
  parser.begin(method, upgradable)
  let at = 0
  for (const end of [...splits, input.length]) {
    if (end > at && !parser.execute(input.subarray(at, end))) parsed.excess = true
    at = Math.max(at, end)
  }
  if (close && !parsed.ended) parser.finish()
  parsed.reusable = parser.reusable
  return parsed
}
