import type { TestContext } from 'node:test'
import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials
} from '@grpc/grpc-js'
import { type RunningServer, startServer } from './server-helper.ts'

/** Messages are bytes as they are: what is tested is their transport. */
export const bytes = (value: Buffer): Buffer => value

/** A method's handlers by the kind of its calls. */
export interface Echo {
  unary?: handleUnaryCall<Buffer, Buffer>
  clientStream?: handleClientStreamingCall<Buffer, Buffer>
  serverStream?: handleServerStreamingCall<Buffer, Buffer>
  bidirectional?: handleBidiStreamingCall<Buffer, Buffer>
}

const DEFINITION = {
  unary: methodOf('unary', false, false),
  clientStream: methodOf('clientStream', true, false),
  serverStream: methodOf('serverStream', false, true),
  bidirectional: methodOf('bidirectional', true, true)
}

/** Path of a method as it goes on the wire. */
export function pathOf(name: keyof Echo): string {
  return `/test.Echo/${name}`
}

/** A gRPC server on a free port. */
export async function startGrpcTarget(t: TestContext, handlers: Echo): Promise<{ url: string; server: Server }> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 })
  server.addService(DEFINITION, { ...handlers })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error)
    )
  })
  t.after(() => server.forceShutdown())
  return { url: `http://127.0.0.1:${port}`, server }
}

/** A gRPC client of a port. */
export function grpcClient(t: TestContext, port: number): Client {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1
  })
  t.after(() => client.close())
  return client
}

/** A client, a gateway as it stands alone, and targets, all of which speak HTTP/2. */
export async function startGrpc(
  t: TestContext,
  ...handlers: Echo[]
): Promise<{ client: Client; gateway: RunningServer; servers: Server[] }> {
  const targets = []
  for (const one of handlers) targets.push(await startGrpcTarget(t, one))
  const urls = targets.map(({ url }) => url)
  const gateway = await startServer(t, urls, { upstream: { http2: true } })
  return { client: grpcClient(t, gateway.port), gateway, servers: targets.map(({ server }) => server) }
}

function methodOf(name: keyof Echo, requestStream: boolean, responseStream: boolean) {
  return {
    path: pathOf(name),
    requestStream,
    responseStream,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes
  }
}
