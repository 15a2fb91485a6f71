import { type GatewaySketch, startGateway } from './forwarding-helper.ts'
import { type FramePeer, HEADERS } from './http2-frames-helper.ts'
import { startFrameTarget } from './http2-transport-helper.ts'

type Context = Parameters<typeof startGateway>[0]

/** A gateway over a target that answers each request by frames, as soon as it is there. */
export async function overFrames(
  t: Context,
  answer: (peer: FramePeer, id: number) => void,
  sketch: GatewaySketch = {}
): ReturnType<typeof startGateway> {
  const target = await startFrameTarget(t, (peer, { type, id }) => {
    if (type === HEADERS) answer(peer, id)
  })
  return startGateway(t, [target.url], { ...sketch, upstream: { http2: true } })
}
