import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { DiagnosticsUnavailableError } from '../errors.ts'
import type { Artifact, ArtifactKind, Reason } from './types.ts'

const EXTENSIONS: Readonly<Record<ArtifactKind, string>> = {
  report: 'json',
  stack: 'json',
  'cpu-profile': 'cpuprofile',
  'heap-snapshot': 'heapsnapshot.gz'
}
const REASONS: readonly Reason[] = ['manual', 'signal', 'crash', 'blocked', 'memory']
const NAME =
  /^([a-z]+)-(report|stack|cpu-profile|heap-snapshot)-(\d{8}T\d{9}Z)-\d+-[0-9a-f]{8}\.(?:json|cpuprofile|heapsnapshot\.gz)$/

/**
 * The folder of artifacts: it is of mode 0700, files in it of mode 0600, and their names are made here. Everything is
 * synchronous, since a process that dies has no time for anything else.
 */
export class Artifacts {
  readonly directory: string

  /** @throws DiagnosticsUnavailableError if the folder cannot be made, or belongs to someone else */
  constructor(directory: string) {
    this.directory = directory
    makePrivate(directory)
  }

  write(kind: ArtifactKind, reason: Reason, content: string | Uint8Array): Artifact {
    const taken = new Date().toISOString()
    const name = `${reason}-${kind}-${taken.replace(/[-:.]/g, '')}-${process.pid}-${randomBytes(4).toString('hex')}.${EXTENSIONS[kind]}`
    // Under another name until it is whole, so that nobody reads half of it.
    const part = join(this.directory, `.${name}.part`)
    try {
      writeFileSync(part, content, { flag: 'wx', mode: 0o600 })
      renameSync(part, join(this.directory, name))
    } catch (error) {
      // On a full disk, half a file would keep it full.
      rmSync(part, { force: true })
      throw error
    }
    return { name, kind, reason, bytes: Buffer.byteLength(content), taken }
  }

  /** The oldest first. */
  list(): Artifact[] {
    return readdirSync(this.directory)
      .flatMap((name) => this.find(name) ?? [])
      .sort((a, b) => (a.taken === b.taken ? 0 : a.taken < b.taken ? -1 : 1))
  }

  /** `undefined` for names that are not of this folder's making, whatever is there. */
  find(name: string): Artifact | undefined {
    const [, prefix, suffix, time = ''] = NAME.exec(name) ?? []
    const reason = REASONS.find((known) => known === prefix)
    const kind = isKind(suffix) ? suffix : undefined
    if (reason === undefined || kind === undefined) return undefined
    const stat = lstatSync(join(this.directory, name), { throwIfNoEntry: false })
    if (stat?.isFile() !== true) return undefined
    return { name, kind, reason, bytes: stat.size, taken: readTime(time) }
  }

  /** A descriptor to read it by; a link in its place is not followed. */
  open(name: string): number {
    return openSync(join(this.directory, name), constants.O_RDONLY | constants.O_NOFOLLOW)
  }

  remove(name: string): void {
    rmSync(join(this.directory, name), { force: true })
  }

  /**
   * Removes artifacts until limits are kept: of the reason that has the most of what there is too much of, the oldest. So
   * what comes again and again, as crashes in a loop do, takes the place of its like and of nothing else (systemd-coredump
   * does so by user). The newest stays.
   */
  prune(maxFiles: number, maxBytes: number): void {
    let left = this.list()
    while (left.length > 1) {
      const bytes = left.reduce((sum, artifact) => sum + artifact.bytes, 0)
      if (left.length <= maxFiles && bytes <= maxBytes) return
      const next = oldestOfLargest(left, left.length > maxFiles ? () => 1 : (artifact) => artifact.bytes)
      if (next === undefined) return
      this.remove(next.name)
      left = left.filter((artifact) => artifact !== next)
    }
  }

  /** Bytes that this user may still write. */
  free(): number {
    const { bavail, bsize } = statfsSync(this.directory)
    return bavail * bsize
  }
}

/**
 * Makes a folder, if need be, that nobody but the own user can look into.
 * @throws DiagnosticsUnavailableError if it cannot be made, is a link, or belongs to someone else
 */
export function makePrivate(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const stat = lstatSync(directory)
    if (!stat.isDirectory()) throw new Error(`${directory} is not a folder`)
    if (process.getuid !== undefined && stat.uid !== process.getuid()) throw new Error(`${directory} is another user's`)
    chmodSync(directory, 0o700)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw Object.assign(new DiagnosticsUnavailableError(reason), { cause })
  }
}

/** Of the reason that weighs the most, the oldest; never the newest of all, which is the last. */
function oldestOfLargest(artifacts: readonly Artifact[], weigh: (artifact: Artifact) => number): Artifact | undefined {
  const weights = new Map<Reason, number>()
  for (const artifact of artifacts) weights.set(artifact.reason, (weights.get(artifact.reason) ?? 0) + weigh(artifact))
  const weightOf = ({ reason }: Artifact) => weights.get(reason) ?? 0
  const [first, ...others] = artifacts.slice(0, -1)
  return others.reduce((found, next) => (found && weightOf(next) > weightOf(found) ? next : found), first)
}

export function isKind(text: unknown): text is ArtifactKind {
  return typeof text === 'string' && Object.hasOwn(EXTENSIONS, text)
}

/** `20261122T101530123Z` as ISO 8601. */
function readTime(time: string): string {
  return time.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\d)(\d{3}Z)$/, '$1-$2-$3:$4:$5.$6')
}
