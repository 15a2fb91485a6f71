import assert from 'node:assert/strict'
import { once } from 'node:events'
import { conforms, conformsEach, differs } from './conformance-helper.ts'
import { eventually, send, startGateway } from './forwarding-helper.ts'
import { freePort, startTarget } from './helper.ts'
import { startRecordingTarget } from './recording-target.ts'

conforms(
  'TestReverseProxy_CopyBuffer',
  'half of the announced body is no complete answer, and is logged',
  async (t) => {
    const lines: string[] = []
    const target = await startRecordingTarget(t, (socket) => {
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nonly half.')
    })
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onRequest', async (request) => {
          request.log.warn = (...details: unknown[]) => {
            lines.push(JSON.stringify(details))
          }
        })
      }
    })

    const reply = await send(gateway.port)

    assert.equal(reply.complete, false)
    assert.equal(reply.body.toString(), 'only half.')
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /FST_GATEWAY_TARGET_CLOSED.*attempt failed/)
  }
)

conforms('TestReverseProxy_PanicBodyError', 'a body that breaks off runs the layers to their end', async (t) => {
  let error: Error | undefined
  const target = await startRecordingTarget(t, (socket) => {
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nonly half.')
  })
  const gateway = await startGateway(t, [target.url], {
    prepare: (app) => {
      app.addHook('onRequest', async (request) => {
        request.raw.on('close', () => {
          error = request.exchange?.error
        })
      })
    }
  })

  const reply = await send(gateway.port)

  assert.equal(reply.complete, false)
  await eventually(() => error !== undefined, 'the exchange knows of no error')
  assert.equal(error && 'code' in error && error.code, 'FST_GATEWAY_TARGET_CLOSED')
})

conforms(
  'TestReverseProxy_PanicClosesIncomingBody',
  'uploads that nobody reads to their end leave the gateway in order',
  async (t) => {
    const target = await startTarget(t, (_request, response) => {
      response.writeHead(200, { 'content-length': '20' })
      response.write('only half.', () => response.destroy())
    })
    const gateway = await startGateway(t, [target.url])
    const body = Buffer.alloc(6 * 1024 * 1024, 'x')

    const upload = async () => {
      for (let i = 0; i < 4; i++) await send(gateway.port, { method: 'POST' }, body).catch(() => undefined)
    }
    await Promise.all([upload(), upload()])

    await gateway.idle()
    const { port } = gateway
    assert.equal((await send(port)).complete, false)
  }
)

conformsEach(
  'TestReverseProxyErrorHandler',
  'the error handler of the app answers for a target that cannot be reached',
  [
    { handler: false, status: 502 },
    { handler: true, status: 418 }
  ],
  ({ status }) => String(status),
  async (t, { handler, status }) => {
    const gateway = await startGateway(t, [`http://127.0.0.1:${await freePort()}`], {
      prepare: (app) => {
        if (handler) app.setErrorHandler((_error, _request, reply) => reply.code(418).send('tea'))
      }
    })

    assert.equal((await send(gateway.port)).status, status)
  }
)

conforms('TestReverseProxyErrorHandler', 'a hook may change the status of the target', async (t) => {
  const target = await startRecordingTarget(t, 'HTTP/1.1 345 Odd\r\ncontent-length: 0\r\n\r\n')
  const gateway = await startGateway(t, [target.url], {
    prepare: (app) => {
      app.addHook('onSend', async (_request, reply) => {
        reply.code(346)
      })
    }
  })

  assert.equal((await send(gateway.port)).status, 346)
})

conforms('TestReverseProxyErrorHandler', 'a hook that fails leads to the error handler of the app', async (t) => {
  const target = await startRecordingTarget(t, 'HTTP/1.1 345 Odd\r\ncontent-length: 0\r\n\r\n')
  const gateway = await startGateway(t, [target.url], {
    prepare: (app) => {
      app.setErrorHandler((_error, _request, reply) => reply.code(418).send('tea'))
      app.addHook('onSend', async (_request, reply) => {
        if (reply.statusCode === 345) throw new Error('not this')
      })
    }
  })

  assert.equal((await send(gateway.port)).status, 418)
})

conforms('TestModifyResponseClosesBody', 'a hook that fails releases the connection to the target', async (t) => {
  let closed = false
  const target = await startTarget(t, async (_request, response) => {
    response.write('endless')
    await once(response, 'close')
    closed = true
  })
  const gateway = await startGateway(t, [target.url], {
    prepare: (app) => {
      app.addHook('onSend', async (_request, reply) => {
        if (reply.statusCode === 200) throw new Error('not this')
      })
    }
  })

  assert.equal((await send(gateway.port)).status, 500)
  await eventually(() => closed, 'the target goes on')
  await gateway.idle()
})

differs(
  'TestReverseProxyModifyResponse',
  'a layer that fails on the way out is a 500, unless its error says otherwise',
  'it is the fault of the gateway, and a 502 would blame the target',
  async (t) => {
    const target = await startTarget(t, (request, response) => response.end(request.url))
    const gateway = await startGateway(t, [target.url], {
      prepare: (app) => {
        app.addHook('onSend', async ({ url }, reply) => {
          if (reply.statusCode !== 200 || url === '/fine') return
          throw Object.assign(new Error('not this'), url === '/gateway' ? { statusCode: 502 } : {})
        })
      }
    })

    const replies = []
    for (const path of ['/fine', '/fails', '/gateway']) replies.push(await send(gateway.port, { path }))

    assert.deepEqual(
      replies.map(({ status }) => status),
      [200, 500, 502]
    )
  }
)
