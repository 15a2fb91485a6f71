/** What an error counts at least, in milliseconds: a target that fails fast must not look fast. */
export const ERROR_TIME = 1_000
