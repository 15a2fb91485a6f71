import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2'
import { Content } from './content.ts'
import { describe } from './dial.ts'
import type { Send } from './http1.ts'

/** Sends a request by HTTP/2: with prior knowledge over plain TCP, as agreed on by ALPN over TLS. */
export const sendHttp2: Send = (socket, request, limit, judge, done) => {
  const { scheme, authority, method, path, headers, content: body } = request
  const session = connect(`${scheme}://${authority}`, {
    createConnection: () => socket,
    settings: { enablePush: false }
  })
  let isDone = false
  const end = (failure: string | undefined) => {
    if (isDone) return
    isDone = true
    // Node.js does not bear that a session ends while it reads frames.
    setImmediate(() => close(session))
    done(failure)
  }
  const content = new Content(limit)
  const fields: IncomingHttpHeaders[] = []
  const stream = session.request(
    { ':method': method, ':scheme': scheme, ':authority': authority, ':path': path, ...headers },
    { endStream: body === undefined }
  )
  const finish = () => {
    const field = (name: string) => {
      const value = fields.map((each) => each[name]).find((found) => found !== undefined)
      return Array.isArray(value) ? value.join(', ') : value
    }
    end(judge({ status: Number(fields[0]?.[':status']), field, content: content.bytes }))
  }
  session.on('error', (error) => end(describe(error)))
  session.on('close', () => end('the connection was closed'))
  stream.on('error', (error) => end(describe(error)))
  stream.on('response', (head) => fields.push(head))
  stream.on('trailers', (trailers) => fields.push(trailers))
  stream.on('data', (chunk: Buffer) => {
    if (!content.add(chunk)) finish()
  })
  // Not at the end, which also comes when the target has reset the stream, or has gone.
  stream.on('close', () => {
    if (stream.rstCode !== 0) end(`the stream was reset with code ${stream.rstCode}`)
    else if (fields.length === 0 || !stream.readableEnded) end('the response was cut off')
    else finish()
  })
  if (body !== undefined) stream.end(body)
  return () => end('cancelled')
}

function close(session: ClientHttp2Session): void {
  if (!session.destroyed) session.destroy()
}
