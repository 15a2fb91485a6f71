import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goingAwayFrame, WebSocketFrames } from '../plugins/proxy/upgrade/websocket-frames.ts'

interface FrameSketch {
  opcode?: number
  fin?: boolean
  length: number
  masked?: boolean
}

/** One frame as it goes over the wire (RFC 6455, section 5.2). */
function frame({ opcode = 2, fin = true, length, masked = false }: FrameSketch): Buffer {
  const extension = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + extension)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = (masked ? 0x80 : 0) | (extension === 0 ? length : extension === 2 ? 126 : 127)
  if (extension === 2) head.writeUInt16BE(length, 2)
  if (extension === 8) head.writeBigUInt64BE(BigInt(length), 2)
  // 0x88 everywhere: taken for the head of a frame, it would be that of a close frame.
  return Buffer.concat([head, Buffer.alloc((masked ? 4 : 0) + length, 0x88)])
}

/** Where frames end in what was read in pieces of `size` bytes, and whether one of them was a close frame. */
function bordersOf(data: Buffer, size: number): { borders: number[]; closed: boolean } {
  const frames = new WebSocketFrames()
  const borders: number[] = []
  for (let from = 0; from < data.length; from += size) {
    const piece = data.subarray(from, from + size)
    for (let at = 0; at < piece.length; ) {
      at = frames.advance(piece, at)
      if (frames.between) borders.push(from + at)
    }
  }
  return { borders, closed: frames.closed }
}

const sizes = [0, 1, 125, 126, 127, 65_535, 65_536]

for (const masked of [false, true]) {
  for (const length of sizes) {
    test(`the end of a ${masked ? 'masked' : 'plain'} frame of ${length} bytes is found, however it is read`, () => {
      const one = frame({ length, masked })
      const data = Buffer.concat([one, frame({ length: 3, masked }), one])
      const expected = [one.length, one.length + 5 + (masked ? 4 : 0), data.length]

      for (const size of [data.length, 1, 2, 3, 7, 1_000]) {
        assert.deepEqual(bordersOf(data, size), { borders: expected, closed: false }, `in pieces of ${size}`)
      }
    })
  }
}

test('between the fragments of a message, and around a ping among them, is a border', () => {
  const parts = [
    frame({ opcode: 1, fin: false, length: 4 }),
    frame({ opcode: 9, length: 0 }),
    frame({ opcode: 0, fin: false, length: 300 }),
    frame({ opcode: 0, length: 0 })
  ]

  const { borders } = bordersOf(Buffer.concat(parts), 5)

  assert.deepEqual(borders, [6, 8, 312, 314])
})

for (const { what, sketch, closed } of [
  { what: 'a close frame without a code', sketch: { opcode: 8, length: 0 }, closed: true },
  { what: 'a close frame with a reason', sketch: { opcode: 8, length: 20, masked: true }, closed: true },
  { what: 'a ping', sketch: { opcode: 9, length: 20 }, closed: false },
  { what: 'a pong', sketch: { opcode: 10, length: 0 }, closed: false },
  { what: 'the end of a fragmented message', sketch: { opcode: 0, length: 8 }, closed: false }
]) {
  test(`${what} ${closed ? 'closes' : 'does not close'}, once it is complete`, () => {
    const data = frame(sketch)
    const frames = new WebSocketFrames()

    frames.advance(data, 0)
    const before = new WebSocketFrames()
    before.advance(data.subarray(0, -1), 0)

    assert.deepEqual([before.closed, before.between], [false, false])
    assert.deepEqual([frames.closed, frames.between], [closed, true])
  })
}

test('a frame with a length beyond all bounds never ends', () => {
  const frames = new WebSocketFrames()
  const head = Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])

  for (const data of [head, Buffer.alloc(100_000), frame({ opcode: 8, length: 0 })]) frames.advance(data, 0)

  assert.deepEqual([frames.between, frames.closed], [false, false])
})

test('the close frame of the gateway says 1001, going away', () => {
  assert.deepEqual(goingAwayFrame(false), Buffer.from([0x88, 2, 0x03, 0xe9]))
})

test('towards a target it is masked, each time with another mask', () => {
  const masks = new Set<string>()
  for (let i = 0; i < 20; i++) {
    const data = goingAwayFrame(true)
    const [first, second, a = 0, b = 0] = data
    masks.add(data.toString('hex', 2, 6))

    assert.deepEqual([data.length, first, second], [8, 0x88, 0x82])
    assert.equal((((data[6] ?? 0) ^ a) << 8) | ((data[7] ?? 0) ^ b), 1001)
  }

  assert.ok(masks.size > 1)
})
