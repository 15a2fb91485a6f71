import { afterPoll } from './after-poll.ts'
import type { ConnectionSocket } from './connection.ts'

/**
 * Keeps a socket readable after a write to it has failed, until what had arrived is read.
 *
 * A target may answer before it has read the whole request, and close: the rest of the request then meets a reset, and
 * writing fails, with the answer ready to be read. Node gives up the reading half of a socket together with the writing
 * half, so its destruction is put off, and what is read goes straight to the listeners of `data`, for as long as each
 * turn of the event loop brings something. That is at most what the system has buffered; pausing is without effect.
 *
 * @param onFailure told once, when nothing can be written any more
 */
export function outliveWriteFailure(socket: ConnectionSocket, onFailure: () => void): void {
  const destroy = socket.destroy
  let failed = false
  socket.destroy = (error?: Error): ConnectionSocket => {
    // What is paused has begun to answer, and would have to wait in its place.
    if (failed || !isWriteFailure(error) || socket.isPaused()) return destroy.call(socket, error)
    failed = true
    onFailure()
    socket.push = (chunk: unknown) => {
      if (chunk === null) destroy.call(socket, error)
      else socket.emit('data', chunk)
      return true
    }
    readOut(socket, () => destroy.call(socket, error))
    return socket
  }
}

function readOut(socket: ConnectionSocket, done: () => void): void {
  const before = socket.bytesRead
  const onPolled = () => {
    if (socket.bytesRead > before) readOut(socket, done)
    else done()
  }
  afterPoll({ onPolled })
}

function isWriteFailure(error: Error | undefined): boolean {
  return error !== undefined && 'syscall' in error && error.syscall === 'write'
}
