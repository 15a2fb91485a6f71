import { createServer } from 'node:http'
import { portOf } from '../port.ts'

const server = createServer((request, response) => {
  request.resume()
  response.setHeader('content-length', 2)
  response.end('ok')
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send?.(portOf(server)))
process.on('disconnect', () => process.exit())
