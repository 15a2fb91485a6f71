/** What takes the place of a secret. */
export const REDACTED = '[redacted]'

const SECRET_NAME =
  /pass(?:word|wd|phrase)?|secret|token|authoriz|cookie|credential|(?:api|private|access|auth)[-_]?key|jwt|session/i
// In text: a header or an assignment up to the end of its line, a scheme of authorization, the user part of a URL, a JWT.
// Clients choose such texts, and the main thread may be stopped meanwhile: what repeats has a bound, or an end that a
// match elsewhere cannot pass, so that the time grows no faster than the text.
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [
    /((?:authorization|cookie|password|passwd|secret|token|(?:api|access|private)[-_]?key)[\w-]{0,64}["']?\s{0,8}[:=]\s{0,8})[^\r\n]+/gi,
    `$1${REDACTED}`
  ],
  [/\b(bearer|basic|digest|negotiate)\s{1,8}[\w+/=.~:-]{6,}/gi, `$1 ${REDACTED}`],
  [/(:\/\/)[^\s/@]+@/g, `$1${REDACTED}@`],
  [/\beyJ[\w-]{8,2048}\.[\w-]+\.[\w-]*/g, REDACTED]
]
const HINT = /auth|cookie|pass|secret|token|key|bearer|basic|digest|negotiate|@|eyJ/i
// Variables that say where and how a program runs; their values are part of paths and names everywhere.
const PLAIN_VARIABLE =
  /^(?:PATH|HOME|PWD|OLDPWD|LANG|LC_\w+|SHELL|USER|LOGNAME|TERM|TZ|HOSTNAME|SHLVL|TMPDIR|_|NODE_ENV|NODE_OPTIONS|NODE_V8_COVERAGE|NODE_TEST_CONTEXT|CI|GATEWAY_(?:HOST|PORT|CONFIG|STRATEGY|PATH|LOG_LEVEL|DIAGNOSTICS_DIRECTORY)|npm_(?!config_.*(?:auth|token|pass|key)).*)$/i
const SHORTEST = 6

/** Whether what is called so is not to be shown: passwords, tokens, cookies and the like. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** Takes secrets out of texts and values: those it knows, and those that are called so or look so. */
export class Scrubber {
  readonly #known: readonly string[]

  /** @param known secrets beside those of the environment */
  constructor(env: NodeJS.ProcessEnv, known: Iterable<string> = []) {
    // The longest first: one secret may be part of another.
    this.#known = [...new Set([...known, ...secretsOf(env)])]
      .filter((value) => value.length >= SHORTEST)
      .sort((a, b) => b.length - a.length)
  }

  /** The same, with further secrets. */
  and(known: Iterable<string>): Scrubber {
    return new Scrubber({}, [...this.#known, ...known])
  }

  text(text: string): string {
    let clean = text
    for (const secret of this.#known) if (clean.includes(secret)) clean = clean.replaceAll(secret, REDACTED)
    if (!HINT.test(clean)) return clean
    for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement)
    return clean
  }

  /** A copy of a JSON value without environment variables, and without what is called or looks like a secret. */
  json(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return this.#list(value)
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).filter(([name]) => name !== 'environmentVariables')
    return Object.fromEntries(
      entries.map(([name, item]) => [
        this.text(name),
        isSecretName(name) && typeof item !== 'number' && item !== null ? REDACTED : this.json(item)
      ])
    )
  }

  /** In lists of raw headers and of arguments, the name of a secret stands before it. */
  #list(items: readonly unknown[]): unknown[] {
    return items.map((item, index) => {
      const before = items[index - 1]
      const isNamed = typeof item === 'string' && typeof before === 'string' && /^[\w-]{1,64}$/.test(before)
      return isNamed && isSecretName(before) ? REDACTED : this.json(item)
    })
  }
}

/** The values of an environment that may be secrets, and their parts. */
export function secretsOf(env: object): string[] {
  const own = `${process.cwd()}\n${process.execPath}`
  return Object.entries(env).flatMap(([name, value]: [string, unknown]) =>
    typeof value !== 'string' || (PLAIN_VARIABLE.test(name) && !isSecretName(name)) || own.includes(value)
      ? []
      : [value, ...partsOf(value)]
  )
}

/** Names and passwords within URLs, and the values of lists, that programs take apart. */
function partsOf(value: string): string[] {
  const parts = value.split(/[\s,;=&"'{}]+/).filter((part) => part.length >= 16)
  if (!URL.canParse(value)) return parts
  const { username, password } = new URL(value)
  return [...parts, username, password, decode(password)]
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
