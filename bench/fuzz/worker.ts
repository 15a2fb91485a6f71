import { parentPort } from 'node:worker_threads'
import { type FuzzShare, fuzz } from './run.ts'

// Half of the responses are refused, each with an error that nobody traces.
Error.stackTraceLimit = 0

parentPort?.on('message', async (share: FuzzShare) => parentPort?.postMessage(await fuzz(share)))
