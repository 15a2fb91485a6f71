import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileQueryRules, firstQueryValue } from '../plugins/proxy/rewriting/query.ts'
import { rules } from './route-helper.ts'

const edits = [
  { name: 'remove takes every one', rules: rules({ remove: ['a'] }), query: '?a=1&b=2&a', expected: '?b=2' },
  {
    name: 'names are compared decoded',
    rules: rules({ remove: ['a b'] }),
    query: '?a+b=1&a%20b&A+b=3',
    expected: '?A+b=3'
  },
  { name: 'the last parameter takes the ? with it', rules: rules({ remove: ['a'] }), query: '?a=1', expected: '' },
  { name: 'no query stays none', rules: rules({ remove: ['a'] }), query: '', expected: '' },
  { name: 'a lone ? goes', rules: rules({ remove: ['a'] }), query: '?', expected: '' },
  {
    name: 'set replaces in place and once',
    rules: rules({ set: [['a', '9']] }),
    query: '?x&a=1&y&a=2',
    expected: '?x&a=9&y'
  },
  { name: 'set appends', rules: rules({ set: [['a', '9']] }), query: '?b=1', expected: '?b=1&a=9' },
  { name: 'set begins a query', rules: rules({ set: [['a', '9']] }), query: '', expected: '?a=9' },
  {
    name: 'set to several values',
    rules: rules({
      set: [
        ['a', '1'],
        ['a', '2']
      ]
    }),
    query: '?a=0&b',
    expected: '?a=1&a=2&b'
  },
  { name: 'add appends', rules: rules({ add: [['a', '2']] }), query: '?a=1', expected: '?a=1&a=2' },
  {
    name: 'remove, then set, then add',
    rules: rules({ remove: ['a'], set: [['a', 's']], add: [['a', 'x']] }),
    query: '?a=1&b',
    expected: '?b&a=s&a=x'
  },
  {
    name: 'new values are encoded',
    rules: rules({ add: [['a b', 'ü&=']] }),
    query: '',
    expected: '?a%20b=%C3%BC%26%3D'
  },
  {
    name: 'the rest keeps its bytes and order',
    rules: rules({ remove: ['gone'] }),
    query: '?b=%zz&&=&gone=1&a=1%2B2+3&"<|\\#?x',
    expected: '?b=%zz&&=&a=1%2B2+3&"<|\\#?x'
  }
]

for (const { name, rules, query, expected } of edits) {
  test(`query rules: ${name}`, () => {
    const edit = compileQueryRules(rules)

    assert.equal(edit?.(query), expected)
  })
}

test('without query rules there is nothing to run', () => {
  assert.equal(compileQueryRules(rules()), undefined)
})

const values = [
  { query: '?a=1', name: 'a', expected: '1' },
  { query: '?b&a=1&a=2', name: 'a', expected: '1' },
  { query: '?a', name: 'a', expected: '' },
  { query: '?a=', name: 'a', expected: '' },
  { query: '?a=b=c', name: 'a', expected: 'b=c' },
  { query: '?a=x%20y+z%2B', name: 'a', expected: 'x y z+' },
  { query: '?%61=1', name: 'a', expected: '1' },
  { query: '?a=%zz%41', name: 'a', expected: '%zzA' },
  { query: '?a=%C3%BC', name: 'a', expected: 'ü' },
  { query: '?ab=1', name: 'a', expected: undefined },
  { query: '?A=1', name: 'a', expected: undefined },
  { query: '?&&b=a=1', name: 'a', expected: undefined },
  { query: '?', name: 'a', expected: undefined },
  { query: '', name: 'a', expected: undefined },
  { query: '?__proto__=1', name: 'toString', expected: undefined }
]

for (const { query, name, expected } of values) {
  test(`the first ${name} of '${query}' is ${JSON.stringify(expected)}`, () => {
    assert.equal(firstQueryValue(query, name), expected)
  })
}
