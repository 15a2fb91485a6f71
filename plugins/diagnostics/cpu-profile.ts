import { setTimeout as delay } from 'node:timers/promises'
import { type MainThread, within } from './main-thread.ts'

/** Samples what the main thread runs, once a millisecond. */
export async function takeCpuProfile({ session }: MainThread, seconds: number): Promise<object> {
  await within(session.post('Profiler.enable'))
  try {
    await within(session.post('Profiler.setSamplingInterval', { interval: 1_000 }))
    await within(session.post('Profiler.start'))
    await delay(seconds * 1_000)
    const { profile } = await within(session.post('Profiler.stop'))
    return profile
  } finally {
    await within(session.post('Profiler.disable'))
  }
}
