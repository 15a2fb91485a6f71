import { createHook } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'

/** What happened in the process, by name. */
export type Counts = Readonly<Record<string, number>>

const counts = new Map<string, number>()
const sockets = new Set<Socket>()

// Ticks, immediates, timers and promises have types here too.
const resources = createHook({
  init(_id, type) {
    count(type)
  }
})

for (const name of ['on', 'once', 'removeListener'] as const) {
  const original = EventEmitter.prototype[name]
  EventEmitter.prototype[name] = function (this: EventEmitter, event, listener) {
    count(name)
    if (this instanceof Socket) sockets.add(this)
    return original.call(this, event, listener)
  }
}

function count(name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

export function startCounting(): void {
  resources.enable()
  counts.clear()
}

export function stopCounting(): Counts {
  resources.disable()
  return Object.fromEntries(counts)
}

/** Listeners on all open connections, to clients and to targets. */
export function listenersOnSockets(): number {
  let sum = 0
  for (const socket of sockets) {
    if (socket.destroyed) sockets.delete(socket)
    else for (const name of socket.eventNames()) sum += socket.listenerCount(name)
  }
  return sum
}
