import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from './forwarding-helper.ts'
import {
  CANCEL,
  data,
  END_HEADERS,
  END_STREAM,
  type Field,
  goaway,
  HEADERS,
  headers,
  INTERNAL_ERROR,
  NO_ERROR,
  rstStream
} from './http2-frames-helper.ts'
import {
  ChunkedBody,
  dispatch,
  exchange,
  startFrameTarget,
  startHttp2Target,
  startTransport,
  targetAt
} from './http2-transport-helper.ts'

const OK: Field[] = [[':status', '200']]
const withLength = (length: number): Field[] => [...OK, ['content-length', String(length)]]

test('a head has the status with its usual reason, and the fields in order, repeated ones included', async (t) => {
  const { url } = await startFrameTarget(t, (peer, { type, id }) => {
    const fields: Field[] = [
      [':status', '404'],
      ['set-cookie', 'a=1'],
      ['x-a', '\xe4'],
      ['set-cookie', 'b=2'],
      ['x-empty', '']
    ]
    if (type === HEADERS) peer.send(headers(id, fields, END_HEADERS), data(id, 'gone', END_STREAM))
  })

  const { head, body, trailers } = await exchange(startTransport(t), targetAt(url))

  assert.deepEqual(head, {
    status: 404,
    reason: 'Not Found',
    headers: ['set-cookie', 'a=1', 'x-a', '\xe4', 'set-cookie', 'b=2', 'x-empty', ''],
    length: -1
  })
  assert.deepEqual([body, trailers], ['gone', []])
})

test('the transport tells what a body is before it comes', async (t) => {
  let answer: (id: number) => readonly Buffer[] = () => []
  const { url } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) peer.send(...answer(id))
  })
  const transport = startTransport(t)
  const address = targetAt(url)
  const lengthOf = async (frames: (id: number) => readonly Buffer[], method = 'GET') => {
    answer = frames
    const recorder = await exchange(transport, address, { method })
    assert.equal(recorder.error, undefined)
    return recorder.head?.length
  }
  const status = (code: number): Field[] => [[':status', String(code)]]
  const end = (id: number) => data(id, '', END_STREAM)

  assert.equal(await lengthOf((id) => [headers(id, withLength(2), END_HEADERS), data(id, 'ab', END_STREAM)]), 2)
  assert.equal(await lengthOf((id) => [headers(id, withLength(2), END_HEADERS), data(id, 'ab'), end(id)]), 2)
  assert.equal(await lengthOf((id) => [headers(id, withLength(0), END_HEADERS), end(id)]), 0)
  assert.equal(await lengthOf((id) => [headers(id, OK, END_HEADERS), data(id, 'ab', END_STREAM)]), -1)
  assert.equal(await lengthOf((id) => [headers(id, OK)]), 0)
  assert.equal(await lengthOf((id) => [headers(id, withLength(9))], 'HEAD'), 0)
  assert.equal(await lengthOf((id) => [headers(id, withLength(9), END_HEADERS), end(id)], 'HEAD'), 0)
  assert.equal(await lengthOf((id) => [headers(id, [...status(304), ['content-length', '9']])]), 0)
  assert.equal(await lengthOf((id) => [headers(id, status(304), END_HEADERS), end(id)]), 0)
  assert.equal(await lengthOf((id) => [headers(id, status(204), END_HEADERS), end(id)]), 0)
  // Node.js keeps books on origins at this one.
  assert.equal(await lengthOf((id) => [headers(id, status(421))]), 0)
  assert.equal(await lengthOf((id) => [headers(id, status(999))]), 0)
})

test('informational responses come before the head, with their fields', async (t) => {
  const { url } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type !== HEADERS) return
    const hints: Field[] = [
      [':status', '103'],
      ['link', '</a>'],
      ['link', '</b>']
    ]
    peer.send(headers(id, [[':status', '102']], END_HEADERS), headers(id, hints, END_HEADERS), headers(id, OK))
  })

  const { informations, calls } = await exchange(startTransport(t), targetAt(url))

  assert.deepEqual(informations, [
    [102, []],
    [103, ['link', '</a>', 'link', '</b>']]
  ])
  assert.deepEqual(calls, ['sent', 'request end', 'information', 'head', 'end'])
})

test('trailers follow the body, or the head', async (t) => {
  const trailers: Field[] = [
    ['grpc-status', '0'],
    ['x-t', '1'],
    ['x-t', '2']
  ]
  const { url } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type !== HEADERS) return
    const body = id === 1 ? [data(id, 'ab')] : []
    peer.send(headers(id, OK, END_HEADERS), ...body, headers(id, trailers))
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  for (const body of ['ab', '']) {
    const recorder = await exchange(transport, address)

    assert.deepEqual([recorder.body, recorder.head?.length], [body, -1])
    assert.deepEqual(recorder.trailers, trailers.flat())
  }
})

test('what was read is said to be handed on while more is to come, so that a head does not wait for its body', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) peer.send(headers(id, OK, END_HEADERS))
  })

  const { recorder } = dispatch(startTransport(t), targetAt(url))
  await eventually(() => recorder.calls.at(-1) === 'read end', 'not said after the head')
  peers[0]?.send(data(1, 'a'))
  await eventually(() => recorder.bytes === 1 && recorder.calls.at(-1) === 'read end', 'not said after data')
  peers[0]?.send(data(1, 'b', END_STREAM))
  await recorder.over

  assert.deepEqual(recorder.calls, ['sent', 'request end', 'head', 'read end', 'data', 'read end', 'data', 'end'])
})

test('a reader that stops holds what the window lets through, and gets the rest when it goes on', async (t) => {
  const size = 4 * 1024 * 1024
  let sent = 0
  const { url, opened } = await startHttp2Target(t, (stream, fields) => {
    stream.respond()
    const chunk = Buffer.alloc(16 * 1024, 'x')
    const write = () => {
      while (sent < size) {
        sent += chunk.length
        if (!stream.write(chunk)) {
          stream.once('drain', write)
          return
        }
      }
      stream.end()
    }
    // A target of Node.js that leaves the request unread may end its response by a reset.
    stream.resume()
    if (fields[':path'] === '/other') stream.end()
    else write()
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  const { recorder, attempt } = dispatch(transport, address)
  recorder.accepts = false
  await eventually(() => sent >= 256 * 1024, 'the window is not used')
  // Others on the session are not held up by it.
  for (let i = 0; i < 5; i++) await exchange(transport, address, { path: '/other' })
  const [held, handed] = [sent, recorder.bytes]
  recorder.accepts = true
  attempt.resume()
  await recorder.over

  assert.ok(held <= 512 * 1024, `${held} bytes were taken`)
  assert.ok(handed <= 64 * 1024, `${handed} bytes were handed on`)
  assert.equal(recorder.bytes, size)
  assert.equal(opened(), 1)
})

for (const end of ['orderly', 'with an error', 'with a reset'] as const) {
  test(`a response that is complete is not lost when the session ends ${end}, read or not`, async (t) => {
    const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
      if (type !== HEADERS) return
      const body = [data(id, 'a'.repeat(16_000)), data(id, 'b'.repeat(16_000)), headers(id, [['x-t', '1']])]
      const last = end === 'orderly' ? goaway(id, NO_ERROR) : end === 'with an error' ? goaway(id, INTERNAL_ERROR) : []
      peer.send(...[headers(id, OK, END_HEADERS), ...body, last].flat())
      if (end === 'with a reset') peer.socket.end(() => peer.socket.resetAndDestroy())
      else peer.socket.end()
    })
    const transport = startTransport(t)
    const address = targetAt(url)

    const read = await exchange(transport, address)
    const { recorder, attempt } = dispatch(transport, address)
    recorder.accepts = false
    await eventually(() => recorder.bytes > 0, 'no data')
    await eventually(() => peers[1]?.socket.destroyed === true, 'the session stays')
    const handed = recorder.bytes
    while (recorder.ends === 0) {
      attempt.resume()
      await new Promise((resolve) => setImmediate(resolve))
    }

    assert.deepEqual([read.error, read.bytes, read.trailers], [undefined, 32_000, ['x-t', '1']])
    assert.ok(handed < 32_000)
    assert.deepEqual([recorder.error, recorder.bytes, recorder.trailers], [undefined, 32_000, ['x-t', '1']])
    assert.equal(recorder.ends, 1)
  })
}

test('no call follows an abort, whatever still arrives', async (t) => {
  const { url, peers } = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS && id === 1) peer.send(headers(id, OK, END_HEADERS), data(id, 'a'))
    else if (type === HEADERS) peer.send(headers(id, OK))
  })
  const transport = startTransport(t)
  const address = targetAt(url)

  const { recorder, attempt } = dispatch(transport, address)
  await eventually(() => recorder.bytes === 1, 'no data')
  // It is on its way when the attempt is aborted.
  peers[0]?.send(data(1, 'b'), headers(1, [['x-t', '1']]), rstStream(1, NO_ERROR))
  attempt.abort()
  attempt.resume()
  const before = [...recorder.calls]
  await exchange(transport, address)

  assert.deepEqual(recorder.calls, before)
  assert.equal(recorder.ends, 0)
  assert.equal(peers.length, 1)
})

for (const call of ['sent', 'progress', 'request end', 'information', 'head', 'data', 'read end']) {
  test(`an attempt may be aborted within its call '${call}'; its session goes on`, async (t) => {
    const { url, peers } = await startFrameTarget(t, (peer, { type, id, flags }) => {
      if (type === HEADERS && (flags & END_STREAM) !== 0) peer.send(headers(id, OK))
      else if (type === HEADERS)
        peer.send(headers(id, [[':status', '103']], END_HEADERS), headers(id, OK, END_HEADERS), data(id, 'a'))
    })
    const transport = startTransport(t)
    const address = targetAt(url)
    await exchange(transport, address)

    const { recorder, attempt } = dispatch(transport, address, { method: 'POST', body: new ChunkedBody(['ab'], -1) })
    recorder.within = (name) => {
      if (name === call) attempt.abort()
    }
    await eventually(() => recorder.calls.at(-1) === call, 'not called')
    const next = await exchange(transport, address)

    assert.equal(recorder.calls.at(-1), call)
    assert.equal(recorder.ends, 0)
    assert.equal(next.head?.status, 200)
    assert.equal(peers.length, 1)
    if (call === 'sent') assert.equal(peers[0]?.frames.filter(({ type }) => type === HEADERS).length, 2)
    else assert.equal(await peers[0]?.reset(3), CANCEL)
  })
}

test('an abort reaches a target within 100 ms, also while it is sending', async (t) => {
  const resets: [number, number][] = []
  const { url } = await startHttp2Target(t, (stream) => {
    stream.respond()
    const write = () => {
      while (stream.writable && stream.write(Buffer.alloc(16 * 1024)));
    }
    stream.on('drain', write)
    stream.on('close', () => resets.push([stream.rstCode, performance.now()]))
    write()
  })

  const { recorder, attempt } = dispatch(startTransport(t), targetAt(url))
  await eventually(() => recorder.bytes > 1_000_000, 'no data')
  const abortedAt = performance.now()
  attempt.abort()
  await eventually(() => resets.length === 1, 'not reset')

  const [code = 0, at = 0] = resets[0] ?? []
  assert.equal(code, CANCEL)
  assert.ok(at - abortedAt < 100)
})
