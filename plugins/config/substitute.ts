import { isScalar, parseDocument } from 'yaml'

const REFERENCE = /\$\$\{|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}|\$\{/g

/** A value with its references resolved, or what is wrong with one of them. */
export type Substituted = { readonly value: unknown } | { readonly message: string }

/**
 * Puts environment variables in place of `${NAME}` and `${NAME:-default}`; as in a shell, the default also stands in for
 * an empty variable. `$${` is a literal `${`. A text that is one reference and nothing else takes the type that its value
 * would have in YAML, if that type spells it the same way: `5` becomes a number, `007` stays as it is.
 */
export function substitute(text: string, env: NodeJS.ProcessEnv): Substituted {
  if (!text.includes('${')) return { value: text }
  const messages: string[] = []
  const value = text.replace(REFERENCE, (reference, name: string | undefined, fallback: string | undefined) => {
    if (reference === '$${') return '${'
    if (name === undefined) {
      messages.push(`found an incomplete '\${', expected \${NAME}, \${NAME:-default}, or $\${ for a literal '\${'`)
      return ''
    }
    const set = env[name]
    if (fallback !== undefined) return set === undefined || set === '' ? fallback : set
    if (set === undefined) {
      messages.push(`found \${${name}}, expected the environment variable ${name} to be set, or \${${name}:-default}`)
    }
    return set ?? ''
  })

  if (messages.length > 0) return { message: messages.join('; ') }
  return { value: isOneReference(text) ? typed(value) : value }
}

function isOneReference(text: string): boolean {
  return /^\$\{[^}]*\}$/.test(text)
}

function typed(text: string): unknown {
  const { contents, errors } = parseDocument(text, { logLevel: 'silent', prettyErrors: false })
  if (errors.length > 0 || !isScalar(contents) || contents.type !== 'PLAIN') return text
  return typeof contents.value !== 'string' && String(contents.value) === text ? contents.value : text
}
