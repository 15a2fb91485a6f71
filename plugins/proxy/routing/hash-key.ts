import type { IncomingMessage } from 'node:http'
import type { HashKey } from '../../config/index.ts'

/** Reads from a request what a keyed strategy hashes; undefined when the request has no such thing. */
export type KeyReader = (
  message: IncomingMessage,
  clientAddress: (message: IncomingMessage) => string
) => string | undefined

/** Compiles `hashKey`. Values are taken as they stand in the request, without decoding, as nginx's variables are. */
export function compileHashKey(key: HashKey | undefined): KeyReader | undefined {
  if (key === undefined) return undefined
  switch (key.from) {
    case 'ip':
      return (message, clientAddress) => clientAddress(message)
    case 'path':
      return ({ url = '' }) => {
        const query = url.indexOf('?')
        return query < 0 ? url : url.slice(0, query)
      }
    case 'url':
      return ({ url }) => url
    case 'header': {
      const { name } = key
      return ({ headers }) => {
        const value = headers[name]
        return Array.isArray(value) ? value.join(', ') : value
      }
    }
    case 'cookie': {
      const { name } = key
      return ({ headers }) => readParameter(headers.cookie, 0, name, ';')
    }
    case 'query': {
      const { name } = key
      return ({ url = '' }) => {
        const query = url.indexOf('?')
        return query < 0 ? undefined : readParameter(url, query + 1, name, '&')
      }
    }
  }
}

/** The value of `name` in `name=value` pairs from `start` on; the first one counts. */
function readParameter(list: string | undefined, start: number, name: string, separator: string): string | undefined {
  if (list === undefined) return undefined
  for (let at = start; at < list.length; ) {
    let end = list.indexOf(separator, at)
    if (end < 0) end = list.length
    while (list[at] === ' ') at++
    if (list.startsWith(name, at)) {
      const after = at + name.length
      if (list[after] === '=') return list.slice(after + 1, end)
      if (after === end) return ''
    }
    at = end + 1
  }
  return undefined
}
