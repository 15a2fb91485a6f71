import { Session } from 'node:inspector/promises'
import { DiagnosticsTimeoutError } from '../errors.ts'

const ANSWER_TIMEOUT = 10_000

/**
 * The debugger of the main thread, from within a worker. What is asked of it is answered between two steps of whatever
 * runs there, also within a loop or a regular expression that does not end; only native code keeps it waiting.
 */
export class MainThread {
  readonly session = new Session()

  constructor() {
    this.session.connectToMainThread()
  }

  /** The value of an expression on the main thread, by way of JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const asked = this.session.post('Runtime.evaluate', {
      expression: `JSON.stringify(${expression})`,
      returnByValue: true
    })
    const { result, exceptionDetails } = await within(asked, ANSWER_TIMEOUT)
    const value: unknown = result.value
    if (typeof value !== 'string') throw new Error(exceptionDetails?.text ?? `nothing came of ${expression}`)
    return JSON.parse(value)
  }

  /** Lets the main thread go on, whatever was asked of it. */
  disconnect(): void {
    this.session.disconnect()
  }
}

/**
 * The answer of the main thread.
 * @throws DiagnosticsTimeoutError if there is none in time
 */
export async function within<T>(answer: Promise<T>, timeout = ANSWER_TIMEOUT): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DiagnosticsTimeoutError(timeout)), timeout)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
