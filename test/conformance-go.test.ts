import assert from 'node:assert/strict'
import { conformsEach } from './conformance-helper.ts'
import { send, startGateway } from './forwarding-helper.ts'
import { startTarget } from './helper.ts'

conformsEach(
  'TestReverseProxyQueryParameterSmugglingDirectorDoesNotParseForm',
  'a query that parsers read in different ways arrives as it was sent',
  ['x=1&x=2;y=3', 'x=1&x=%zz&y=3'],
  (query) => query,
  async (t, query) => {
    const target = await startTarget(t, (request, response) => response.end(request.url))
    const gateway = await startGateway(t, [target.url])

    const reply = await send(gateway.port, { path: `/?${query}` })

    assert.equal(reply.body.toString(), `/?${query}`)
  }
)
