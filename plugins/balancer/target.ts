import { InvalidTargetError } from '../errors.ts'
import { drawByKey } from './hashing/key-lot.ts'
import type { Obstacle } from './observer.ts'
import { OBSTACLES, TargetGroup } from './target-group.ts'
import { parseTargetUrl, type TargetAddress, type TargetProtocol, trimTargetUrl } from './target-url.ts'
import type { PickContext } from './types.ts'

/** One backend of an upstream. */
export interface TargetOptions {
  /** `http://host[:port]`, `https://host[:port]`, `unix:/path/to.sock`, `function:NAME` or `app:NAME`. */
  url: string
  /** Share of the traffic, an integer from 0 to 65535; 0 means never picked. @default 1 */
  weight?: number | undefined
  /** Picked only when no target of any priority is available. @default false */
  backup?: boolean | undefined
  /** Used as far as lower numbers cannot take the traffic, from 0 to 65535. Backups have none. @default 0 */
  priority?: number | undefined
  /** Never picked, but keeps its place in a hash ring. @default false */
  down?: boolean | undefined
  /** Most attempts in flight at once; 0 means any number. @default 0 */
  maxConnections?: number | undefined
  /** Failures within `failTimeout` that make the target unavailable for `failTimeout`; 0 means never. @default 1 */
  maxFails?: number | undefined
  /** Milliseconds. @default 10000 */
  failTimeout?: number | undefined
  /** Whether the active checks of the upstream include it. @default true */
  check?: boolean | undefined
}

/** A weight is also a number of ring points (160 each) and part of products; this keeps both in bounds. */
const MAX_WEIGHT = 65_535
const MAX_PRIORITY = 65_535

const DEFAULTS = {
  weight: 1,
  backup: false,
  priority: 0,
  down: false,
  maxConnections: 0,
  maxFails: 1,
  failTimeout: 10_000,
  check: true
} as const satisfies Omit<Required<TargetOptions>, 'url'>

/** `Target.ramp` of a target that has its whole weight. */
export const FULL_RAMP = 256
/** What sets the draw of slow start apart from others by the same key. */
const SLOW_START = 0x510575a7

/** One backend: its address, its limits and its state. Made by `Balancer.add`. */
export class Target implements TargetAddress {
  /** As written, without a slash at the end; unique within the upstream. */
  readonly url: string
  readonly protocol: TargetProtocol
  readonly hostname: string
  readonly port: number
  readonly socketPath: string | undefined
  readonly authority: string
  readonly backup: boolean
  readonly priority: number
  readonly maxConnections: number
  readonly maxFails: number
  readonly failTimeout: number
  readonly check: boolean
  readonly group: TargetGroup

  /** Attempts begun and not yet ended. */
  inFlight = 0
  /** Failures in the current window. */
  fails = 0
  /** When the current window of failures began, or when a failed target was last let through as a probe. */
  checked = 0
  /** When the target last failed. */
  accessed = 0
  /** Set once the target has left its balancer. */
  removed = false

  /** The weight in force times 256: less than `weight` says during slow start. */
  share: number

  #weight: number
  #obstacles = 0
  #draining = false
  #ramp = FULL_RAMP

  /**
   * @param groupOf called once, when the options are found good; what it throws is passed on
   * @throws InvalidTargetError
   */
  constructor(options: TargetOptions, groupOf: (target: Target) => TargetGroup = () => new TargetGroup()) {
    checkTarget(options)
    this.url = trimTargetUrl(options.url)
    const address = parseTargetUrl(this.url)
    this.protocol = address.protocol
    this.hostname = address.hostname
    this.port = address.port
    this.socketPath = address.socketPath
    this.authority = address.authority
    this.#weight = options.weight ?? DEFAULTS.weight
    this.share = this.#weight * FULL_RAMP
    this.backup = options.backup ?? DEFAULTS.backup
    this.priority = options.priority ?? DEFAULTS.priority
    if (options.down ?? DEFAULTS.down) this.#obstacles = OBSTACLES.down
    this.maxConnections = options.maxConnections ?? DEFAULTS.maxConnections
    this.maxFails = options.maxFails ?? DEFAULTS.maxFails
    this.failTimeout = options.failTimeout ?? DEFAULTS.failTimeout
    this.check = options.check ?? DEFAULTS.check
    this.group = groupOf(this)
  }

  /** Set by `Balancer.setWeight`, which tells the strategy. */
  get weight(): number {
    return this.#weight
  }

  set weight(weight: number) {
    this.#weight = weight
    this.share = weight * this.#ramp
  }

  /** How much of the weight slow start leaves in force, in parts of 256. */
  get ramp(): number {
    return this.#ramp
  }

  set ramp(ramp: number) {
    this.#ramp = ramp
    this.share = this.#weight * ramp
  }

  get down(): boolean {
    return this.has('down')
  }

  set down(down: boolean) {
    this.set('down', down)
  }

  /** Whether an obstacle keeps the target from being picked. */
  has(obstacle: Obstacle): boolean {
    return (this.#obstacles & OBSTACLES[obstacle]) !== 0
  }

  /** Whether any obstacle keeps the target from being picked, unless there is a panic. */
  get isObstructed(): boolean {
    return this.#obstacles !== 0
  }

  /** Puts an obstacle in the way of the target, or takes it away. False when nothing has changed. */
  set(obstacle: Obstacle, present: boolean): boolean {
    if (this.has(obstacle) === present) return false
    const before = this.#obstacles
    this.#obstacles ^= OBSTACLES[obstacle]
    if (before === 0 || this.#obstacles === 0) this.group.turn(this, this.#obstacles === 0)
    this.group.report(this, obstacle)
    return true
  }

  /** Serves those clients on that are known to belong to it, and nobody else. */
  get draining(): boolean {
    return this.#draining
  }

  set draining(draining: boolean) {
    if (this.#draining === draining) return
    this.#draining = draining
    this.group.report(this, 'draining')
  }

  /** Whether as many attempts are in flight as may be. */
  get full(): boolean {
    return this.maxConnections > 0 && this.inFlight >= this.maxConnections
  }

  /** Whether the target may be picked now. The clock is read only when there are failures to judge. */
  isAvailable(context: PickContext, now: () => number): boolean {
    return this.isOpen(context) && !this.hasFailed(now) && (this.#ramp === FULL_RAMP || this.#takesKey(context))
  }

  /** Whether the target may be picked for a client that it has served before: `draining` is no obstacle. */
  isAvailableAgain(context: PickContext, now: () => number): boolean {
    return this.#isOpenAgain(context) && !this.hasFailed(now)
  }

  /** Whether the target may be picked, its failures aside. */
  isOpen(context: PickContext): boolean {
    return !this.#draining && this.#isOpenAgain(context)
  }

  #isOpenAgain({ tried }: PickContext): boolean {
    if ((this.#obstacles & this.group.heeded) !== 0 || this.#weight === 0 || this.full) return false
    return tried === undefined || !tried.includes(this)
  }

  /** In slow start, a target takes part of its keys, and more of them as time goes by. Without keys its share is less. */
  #takesKey({ key }: PickContext): boolean {
    if (key === undefined || key === '' || this.group.ignoresRamps) return true
    return drawByKey(key, SLOW_START) % FULL_RAMP < this.#ramp
  }

  /** Whether only `maxConnections` forbids the target for now. */
  isFull({ tried }: PickContext): boolean {
    if ((this.#obstacles & this.group.heeded) !== 0 || this.#draining || this.#weight === 0 || !this.full) return false
    return tried === undefined || !tried.includes(this)
  }

  /** Whether recent failures forbid the target for now. */
  hasFailed(now: () => number): boolean {
    return this.maxFails > 0 && this.fails >= this.maxFails && now() - this.checked <= this.failTimeout
  }
}

/** @throws InvalidTargetError */
export function checkWeight(url: string, weight: number): void {
  const fault = faultOf('weight', weight)
  if (fault !== undefined) throw new InvalidTargetError(url, fault)
}

/** @throws InvalidTargetError */
function checkTarget(options: TargetOptions): void {
  if (typeof options?.url !== 'string') throw new InvalidTargetError(String(options?.url), 'the url must be a string')
  for (const [name, value] of Object.entries(options)) {
    const fault = value === undefined ? undefined : faultOf(name, value)
    if (fault !== undefined) throw new InvalidTargetError(options.url, fault)
  }
  if (options.backup === true && (options.priority ?? 0) !== 0) {
    throw new InvalidTargetError(options.url, 'a backup has no priority')
  }
}

function faultOf(name: string, value: unknown): string | undefined {
  switch (name) {
    case 'url':
      return undefined
    case 'weight':
      return isInteger(value, MAX_WEIGHT) ? undefined : `weight must be an integer from 0 to ${MAX_WEIGHT}`
    case 'priority':
      return isInteger(value, MAX_PRIORITY) ? undefined : `priority must be an integer from 0 to ${MAX_PRIORITY}`
    case 'backup':
    case 'check':
    case 'down':
      return typeof value === 'boolean' ? undefined : `${name} must be true or false`
    case 'maxConnections':
    case 'maxFails':
      return isInteger(value, Number.MAX_SAFE_INTEGER) ? undefined : `${name} must be an integer, 0 or more`
    case 'failTimeout':
      return typeof value === 'number' && value >= 0 ? undefined : 'failTimeout must be milliseconds, 0 or more'
    default:
      return `unknown option '${name}', expected one of: url, ${Object.keys(DEFAULTS).join(', ')}`
  }
}

function isInteger(value: unknown, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max
}
