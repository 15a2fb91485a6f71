/** Flat pairs with the number of an attempt under a name, in place of whatever somebody else may have put there. */
export function numberAttempt(pairs: readonly string[], name: string, attempt: number): string[] {
  const lower = name.toLowerCase()
  const numbered: string[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    const other = pairs[i] ?? ''
    if (other.length !== name.length || other.toLowerCase() !== lower) numbered.push(other, pairs[i + 1] ?? '')
  }
  numbered.push(name, String(attempt))
  return numbered
}
