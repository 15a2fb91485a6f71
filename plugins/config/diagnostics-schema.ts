import { isIPv4 } from 'node:net'
import { count, duration, flag, leaf, mapping, size, text } from './values.ts'

/** How one may look inside a running gateway, or one that died. */
export const diagnostics = mapping({
  enabled: flag().prefault(false).describe('Whether there is a listener for diagnostics, and reports of crashes.'),
  token: text('a token')
    .optional()
    .describe('What clients of the listener show as bearer token, at least 32 characters. Needed when enabled.'),
  host: leaf<string, string>({
    type: 'loopback address',
    expected: 'a loopback address: 127.0.0.1, ::1 or localhost',
    parse: (value) => (typeof value === 'string' && isLoopback(value) ? value : undefined)
  })
    .prefault('127.0.0.1')
    .describe('Loopback address of the listener.'),
  port: leaf<number, number>({
    type: 'port',
    expected: 'a port 0-65535',
    parse: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65535 ? value : undefined
  })
    .prefault(9901)
    .describe(
      'Port of the listener; 0 = any free one. With `server.workers`, each takes the next that is free, and logs it.'
    ),
  directory: text('the path of a folder')
    .prefault('diagnostics')
    .describe('Where artifacts are kept, for the own user alone; relative to the working directory.'),
  maxFiles: count()
    .prefault(20)
    .describe('Most artifacts that are kept; the oldest of the most frequent reason goes first.'),
  maxBytes: size().prefault('1gb').describe('Most bytes of artifacts that are kept.'),
  minFree: size().prefault('1gb').describe('Free space on the disk without which nothing is taken.'),
  minInterval: duration().prefault('10s').describe('From the end of one artifact to the next.'),
  maxHeap: size()
    .prefault('64mb')
    .describe('Largest heap of which a snapshot is taken: 14mb stop the gateway for half a second, 92mb for twelve.'),
  heapStrings: flag()
    .prefault(false)
    .describe(
      'Whether heap snapshots keep strings that are no constants of the program; what is known to be a secret never.'
    ),
  blockedAfter: duration()
    .prefault(0)
    .describe('How long the event loop may be blocked before a stack is taken by itself; 0 = never.'),
  crashLocals: flag()
    .prefault(false)
    .describe('Whether an error nobody catches leaves the variables of its frames; costs 6 to 23 % of throughput.')
})

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
