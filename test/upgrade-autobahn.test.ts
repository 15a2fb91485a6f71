import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from './forwarding-helper.ts'
import { RawTarget, SWITCH, switchTo } from './upgrade-helper.ts'

/**
 * What the Autobahn Testsuite (crossbario/autobahn-testsuite, Apache-2.0) sends to WebSocket peers, by its case numbers,
 * rebuilt as bytes. Peers answer or fail the connection; a tunnel has to deliver all of it as it is, valid or not.
 */
interface Case {
  id: string
  what: string
  frames: Frame[]
  /** Bytes written at once; by default all. */
  chop?: number
}

interface Frame {
  opcode: number
  payload?: Buffer | string
  fin?: boolean
  rsv?: number
  /** What the header says, where that is not true. */
  claims?: number
}

const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10] as const

const of = (size: number, fill = 'x') => Buffer.alloc(size, fill)
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const close = (code: number, reason = '') =>
  Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason, 'latin1')])
const one = (id: string, what: string, frame: Frame): Case => ({ id, what, frames: [frame] })

const SIZES = [0, 125, 126, 127, 128, 65_535, 65_536]
const UTF8: Record<string, string> = {
  '6.2.1 valid, of several lengths': 'cebae1bdb9cf83cebcceb5',
  '6.3.1 invalid in the middle': 'cebae1bdb9cf83cebcceb5eda080656469746564',
  '6.6.2 cut in a character': 'cebae1',
  '6.12.1 overlong': 'c080',
  '6.14.1 a lone continuation': '80',
  '6.19.1 a surrogate': 'eda080',
  '6.22.1 a noncharacter': 'efbfbe',
  '6.23.7 the last code point': 'f48fbfbf'
}

const cases: Case[] = [
  ...SIZES.map((size, i) => one(`1.1.${i + 1}`, `text of ${size} bytes`, { opcode: TEXT, payload: of(size, '*') })),
  ...SIZES.map((size, i) =>
    one(`1.2.${i + 1}`, `binary of ${size} bytes`, { opcode: BINARY, payload: of(size, '\xfe') })
  ),
  { id: '1.1.8', what: 'text in pieces of 997 bytes', frames: [{ opcode: TEXT, payload: of(65_536) }], chop: 997 },
  one('2.1', 'a ping without payload', { opcode: PING }),
  one('2.3', 'a ping of bytes that are no text', { opcode: PING, payload: hex('00fffefdfcfb00ff') }),
  one('2.4', 'a ping of 125 bytes', { opcode: PING, payload: of(125, '\xfe') }),
  one('2.5', 'a ping of 126 bytes', { opcode: PING, payload: of(126, '\xfe') }),
  { id: '2.6', what: 'a ping byte by byte', frames: [{ opcode: PING, payload: of(125) }], chop: 1 },
  one('2.8', 'a pong nobody asked for', { opcode: PONG, payload: 'unsolicited' }),
  { id: '2.10', what: 'ten pings', frames: Array.from({ length: 10 }, (_, i) => ({ opcode: PING, payload: `p${i}` })) },
  ...[1, 2, 3, 4, 5, 6, 7].map((rsv) => one(`3.${rsv}`, `reserved bits ${rsv}`, { opcode: TEXT, rsv, payload: 'x' })),
  ...[3, 4, 5, 6, 7].map((opcode) => one(`4.1.${opcode - 2}`, `opcode ${opcode}`, { opcode, payload: 'x' })),
  ...[11, 12, 13, 14, 15].map((opcode) => one(`4.2.${opcode - 10}`, `opcode ${opcode}`, { opcode, payload: 'x' })),
  { id: '5.1', what: 'a ping in two fragments', frames: [{ opcode: PING, fin: false }, { opcode: CONTINUATION }] },
  {
    id: '5.6',
    what: 'a message in two fragments with a ping between',
    frames: [
      { opcode: TEXT, fin: false, payload: 'fragment1' },
      { opcode: PING, payload: 'ping' },
      { opcode: CONTINUATION, payload: 'fragment2' }
    ]
  },
  { id: '5.9', what: 'a continuation of nothing', frames: [{ opcode: CONTINUATION, payload: 'x' }, { opcode: TEXT }] },
  {
    id: '5.18',
    what: 'a second message within the first',
    frames: [
      { opcode: TEXT, fin: false, payload: 'one' },
      { opcode: TEXT, payload: 'two' }
    ]
  },
  {
    id: '5.19',
    what: 'fragments and pings in turn, byte by byte',
    chop: 1,
    frames: [
      { opcode: TEXT, fin: false, payload: 'fragment1' },
      { opcode: CONTINUATION, fin: false, payload: 'fragment2' },
      { opcode: PING, payload: 'pongme 1!' },
      { opcode: CONTINUATION, fin: false },
      { opcode: PING, payload: 'pongme 2!' },
      { opcode: CONTINUATION, payload: 'fragment5' }
    ]
  },
  ...Object.entries(UTF8).map(([name, bytes]) => {
    const [id = '', ...what] = name.split(' ')
    return one(id, `text that is ${what.join(' ')}`, { opcode: TEXT, payload: hex(bytes) })
  }),
  {
    id: '6.4.2',
    what: 'a character across two fragments',
    frames: [
      { opcode: TEXT, fin: false, payload: hex('ceba e1bd') },
      { opcode: CONTINUATION, payload: hex('b9 cf83') }
    ]
  },
  { id: '7.1.5', what: 'a close within a message', frames: [{ opcode: TEXT, fin: false }, { opcode: CLOSE }] },
  one('7.3.1', 'a close without payload', { opcode: CLOSE }),
  one('7.3.2', 'a close of one byte', { opcode: CLOSE, payload: 'x' }),
  one('7.3.5', 'a close with the longest reason', { opcode: CLOSE, payload: close(1000, 'r'.repeat(123)) }),
  one('7.3.6', 'a close with a reason too long', { opcode: CLOSE, payload: close(1000, 'r'.repeat(124)) }),
  one('7.5.1', 'a close with a reason that is no text', { opcode: CLOSE, payload: close(1000, '\xed\xa0\x80') }),
  ...[1000, 1001, 1007, 1011, 3000, 3999, 4000, 4999].map((code, i) =>
    one(`7.7.${i + 1}`, `a close with code ${code}`, { opcode: CLOSE, payload: close(code) })
  ),
  ...[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535].map((code, i) =>
    one(`7.9.${i + 1}`, `a close with code ${code}, which nobody may send`, { opcode: CLOSE, payload: close(code) })
  ),
  { id: '7.1.3', what: 'a ping after a close', frames: [{ opcode: CLOSE }, { opcode: PING }] },
  ...[1, 64, 256, 1_024].map((kib, i) =>
    one(`9.2.${i + 1}`, `binary of ${kib} KiB`, { opcode: BINARY, payload: of(kib * 1024, '\xfe') })
  ),
  {
    id: '9.4.1',
    what: '1 MiB in fragments of 1 KiB',
    frames: Array.from({ length: 1_024 }, (_, i) => ({
      opcode: i === 0 ? BINARY : CONTINUATION,
      fin: i === 1_023,
      payload: of(1_024)
    }))
  },
  one('9.0', 'a header that claims more than comes', { opcode: BINARY, payload: of(10), claims: 2 ** 40 })
]

/** A frame as it goes over the wire (RFC 6455, section 5.2); masked as those of clients are. */
function encode({ opcode, payload = '', fin = true, rsv = 0, claims }: Frame, masked: boolean): Buffer {
  const data = Buffer.from(payload)
  const length = claims ?? data.length
  const extension = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + extension)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (extension === 0 ? length : extension === 2 ? 126 : 127)
  if (extension === 2) head.writeUInt16BE(length, 2)
  if (extension === 8) head.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([head, data])
  const mask = hex('37fa213d')
  return Buffer.concat([head, mask, data.map((byte, i) => byte ^ (mask[i % 4] ?? 0))])
}

function pieces(data: Buffer, size = data.length): Buffer[] {
  return Array.from({ length: Math.ceil(data.length / size) }, (_, i) => data.subarray(i * size, (i + 1) * size))
}

test('what Autobahn sends to WebSocket peers passes both ways as it is', async (t) => {
  const target = await RawTarget.start(t, SWITCH.replace('foo', 'websocket'))
  const gateway = await startGateway(t, [target.url])

  for (const { id, what, frames, chop } of cases) {
    await t.test(`${id}: ${what}`, async (t) => {
      Object.assign(target, { text: '', ends: 0 })
      const client = await switchTo(t, gateway.port, 'websocket')
      const up = Buffer.concat(frames.map((frame) => encode(frame, true)))
      const down = Buffer.concat(frames.map((frame) => encode(frame, false)))
      const heads = [target.text.length, client.text.length]

      for (const piece of pieces(up, chop)) client.socket.write(piece)
      for (const piece of pieces(down, chop)) target.latest?.write(piece)
      client.socket.end()
      target.latest?.end()
      await client.end()
      await target.end()

      assert.ok(Buffer.from(target.text.slice(heads[0]), 'latin1').equals(up))
      assert.ok(Buffer.from(client.text.slice(heads[1]), 'latin1').equals(down))
      await gateway.idle()
    })
  }
})
