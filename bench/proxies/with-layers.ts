import { buildApp } from '../../app.ts'

/** The stand-alone gateway, with as many layers of two hooks that do nothing as BENCH_LAYERS says. */
const { app, env } = await buildApp()
for (let layer = 0; layer < Number(process.env.BENCH_LAYERS ?? 0); layer++) {
  app.middleware.use({ name: `layer-${layer}`, onRequest() {}, onSend() {} })
}
await app.listen({ host: env.host, port: env.port })
