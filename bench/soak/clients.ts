import { Agent, type IncomingMessage, request as sendHttp } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import { WebSocket } from 'ws'
import { drawSize } from './content.ts'
import type { Asked, Got, Tally } from './tally.ts'

export interface ClientSetup {
  readonly port: number
  readonly tally: Tally
  readonly random: () => number
  /** No id is given out twice. */
  readonly nextId: () => number
  /** Whether to go on. */
  readonly running: () => boolean
}

/** Milliseconds after which an answer is taken never to come: all timeouts of the gateway are far below. */
const PATIENCE = 30_000
const NOTHING: Got = { status: 0, body: Buffer.alloc(0), received: undefined, complete: false }
/** What a client that left makes of its answer: nothing. */
const LEFT: Got = { ...NOTHING }

interface Sending {
  readonly method: string
  readonly asked: Asked
  readonly agent: Agent | false
  /** Milliseconds after which the client leaves. */
  readonly leaveAfter?: number | undefined
  readonly slow?: boolean
}

/** Requests over HTTP/1.1, one after the other, of every sort. */
export async function http1Client(setup: ClientSetup): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { random, tally } = setup
  while (setup.running()) {
    const method = ['GET', 'GET', 'PUT', 'POST'][Math.floor(random() * 4)] ?? 'GET'
    const asked = ask(setup, method !== 'GET')
    const leaveAfter = random() < 0.1 ? random() * 60 : undefined
    const sending = {
      method,
      asked,
      leaveAfter,
      agent: random() < 0.9 ? agent : (false as const),
      slow: random() < 0.05
    }
    const got = await exchange(setup, sending)
    if (got === LEFT) tally.count('client left')
    else tally.add(method, asked, got)
  }
  agent.destroy()
}

/** Requests over HTTP/2, several at a time on one connection. */
export async function http2Client(setup: ClientSetup): Promise<void> {
  let session: ClientHttp2Session | undefined
  while (setup.running()) {
    if (session === undefined || session.closed || session.destroyed) {
      session = connect(`http://127.0.0.1:${setup.port}`)
      session.on('error', () => {})
    }
    const current = session
    await Promise.all(Array.from({ length: 4 }, () => stream(setup, current)))
    if (setup.random() < 0.02) session.close()
  }
  session?.close()
}

/** Messages over a WebSocket, each of which has to come back as it was sent. */
export async function webSocketClient({ port, random, running, tally }: ClientSetup): Promise<void> {
  while (running()) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`)
    const opened = await new Promise((done) => socket.on('open', () => done(true)).on('error', () => done(false)))
    if (opened === false) {
      tally.count('WebSocket refused')
      continue
    }
    for (let left = 1 + random() * 20; left > 0 && running(); left--) {
      const message = Buffer.alloc(drawSize(random), String(left))
      socket.send(message)
      const echo = await new Promise<Buffer | undefined>((done) => {
        const close = () => done(undefined)
        socket.once('close', close)
        socket.once('message', (data) => {
          socket.off('close', close)
          done(Buffer.isBuffer(data) ? data : Buffer.alloc(0))
        })
      })
      if (echo?.equals(message) === true) tally.count('WebSocket echo')
      else tally.wrong.push(`WebSocket: ${echo === undefined ? 'closed' : 'another message'}`)
    }
    if (random() < 0.3) socket.terminate()
    else socket.close()
    await new Promise((done) => (socket.readyState === WebSocket.CLOSED ? done(null) : socket.once('close', done)))
  }
}

function ask({ random, nextId }: ClientSetup, withBody: boolean): Asked {
  return { id: nextId(), size: drawSize(random), body: Buffer.alloc(withBody ? drawSize(random) : 0, 'upload') }
}

function exchange({ port, random }: ClientSetup, { method, asked, agent, leaveAfter, slow = false }: Sending) {
  return new Promise<Got>((done) => {
    const path = `/${asked.id}/${asked.size}`
    const headers = method === 'GET' || random() < 0.5 ? {} : { 'content-length': asked.body.length }
    const request = sendHttp({ host: '127.0.0.1', port, method, path, agent, headers })
    const finish = (got: Got) => {
      clearTimeout(late)
      clearTimeout(leave)
      done(got)
    }
    // Node.js has a response that was received, but not read yet, end without the rest of its body when its request is
    // destroyed. So what had come by then says nothing.
    const abandon = (got: Got) => {
      finish(got)
      request.destroy()
    }
    const late = setTimeout(abandon, PATIENCE, NOTHING)
    const leave = leaveAfter === undefined ? undefined : setTimeout(abandon, leaveAfter, LEFT)
    request.on('error', () => finish(NOTHING))
    request.on('response', (response) => void read(response, slow).then(finish))
    request.end(asked.body)
  })
}

async function read(response: IncomingMessage, slow: boolean): Promise<Got> {
  const chunks: Buffer[] = []
  response.on('error', () => {})
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (!slow) return
    response.pause()
    setTimeout(() => response.resume(), 10)
  })
  await new Promise((done) => response.once('close', done))
  const { statusCode: status = 0, headers, complete } = response
  return { status, body: Buffer.concat(chunks), received: String(headers['x-received']), complete }
}

function stream(setup: ClientSetup, session: ClientHttp2Session): Promise<void> {
  const { random, tally } = setup
  const method = random() < 0.5 ? 'GET' : 'PUT'
  const asked = ask(setup, method === 'PUT')
  const leaves = random() < 0.1
  return new Promise((done) => {
    const got = { status: 0, received: '', complete: false }
    const chunks: Buffer[] = []
    const request = session.request({ ':method': method, ':path': `/${asked.id}/${asked.size}` })
    request.setTimeout(PATIENCE, () => request.close())
    if (leaves) setTimeout(() => request.close(8), random() * 60)
    request.on('response', (headers) => {
      got.status = Number(headers[':status'])
      got.received = String(headers['x-received'])
    })
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () => {
      got.complete = request.rstCode === 0 && !request.aborted
    })
    request.on('close', () => {
      const complete = got.complete && request.rstCode === 0
      if (leaves && !complete) tally.count('client left')
      else tally.add(`HTTP/2 ${method}`, asked, { ...got, complete, body: Buffer.concat(chunks) })
      done()
    })
    request.end(asked.body)
  })
}
