import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { isWorker, joinSupervisor, type Settings, Supervisor, workerId } from '../plugins/workers/index.ts'

/** A program that is supervised, and does next to nothing: it answers with what `settings.json` said as it started. */
const read = (): Settings & { answer?: string; boots?: boolean } => JSON.parse(readFileSync('settings.json', 'utf8'))
const log = (details: object, msg: string) => process.stdout.write(`${JSON.stringify({ ...details, msg })}\n`)

if (isWorker()) {
  const { boots = true, answer = '' } = read()
  if (!boots) process.exit(3)
  const server = createServer((_request, response) => response.end(answer))
  const stop = () => server.close(() => process.exit())
  const supervisor = joinSupervisor({
    drain: () => void supervisor.settle().then(stop),
    // One that answers "stubborn" does not stop.
    stop: answer === 'stubborn' ? () => {} : stop
  })
  server.listen(0, '127.0.0.1', () => {
    supervisor.reportListening()
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    log({ worker: workerId(), pid: process.pid }, `Server listening at http://127.0.0.1:${port}`)
  })
} else {
  const supervisor = new Supervisor({ info: log, error: log }, read)
  process.on('SIGTERM', () => void supervisor.stop().then((inPeace) => process.exit(inPeace ? 0 : 1)))
  process.on('SIGHUP', () => void supervisor.restart())
  const failed = await supervisor.start()
  if (failed !== undefined) process.exit(failed.code ?? 1)
}
