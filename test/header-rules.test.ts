import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileHeaderRules } from '../plugins/proxy/rewriting/header-rules.ts'
import { rules } from './route-helper.ts'

const cases = [
  {
    name: 'remove takes every header of the name, in any case',
    rules: rules({ remove: ['X-Gone'] }),
    pairs: ['x-gone', '1', 'Keep', '2', 'X-GONE', '3'],
    expected: ['Keep', '2']
  },
  {
    name: 'set takes the place of the first header and drops the rest',
    rules: rules({ set: [['X-A', 'new']] }),
    pairs: ['First', '1', 'x-a', 'old', 'Last', '2', 'X-a', 'older'],
    expected: ['First', '1', 'X-A', 'new', 'Last', '2']
  },
  {
    name: 'set appends a header that is not there',
    rules: rules({ set: [['X-A', 'new']] }),
    pairs: ['First', '1'],
    expected: ['First', '1', 'X-A', 'new']
  },
  {
    name: 'set puts several values where one was',
    rules: rules({
      set: [
        ['X-A', '1'],
        ['x-a', '2']
      ]
    }),
    pairs: ['x-a', 'old', 'Last', '3'],
    expected: ['X-A', '1', 'x-a', '2', 'Last', '3']
  },
  {
    name: 'add leaves what is there',
    rules: rules({ add: [['X-A', '2']] }),
    pairs: ['x-a', '1', 'Last', '3'],
    expected: ['x-a', '1', 'Last', '3', 'X-A', '2']
  },
  {
    name: 'remove goes before set, and set before add',
    rules: rules({ remove: ['x-a'], set: [['x-a', 'set']], add: [['x-a', 'added']] }),
    pairs: ['X-A', 'old', 'Last', '1'],
    expected: ['Last', '1', 'x-a', 'set', 'x-a', 'added']
  },
  {
    name: 'a name of the same length as one in a rule is left alone',
    rules: rules({ remove: ['x-a'] }),
    pairs: ['X-B', '1', 'X-A', '2'],
    expected: ['X-B', '1']
  },
  {
    name: 'repeated headers keep their order and bytes',
    rules: rules({ remove: ['x-a'] }),
    pairs: ['Set-Cookie', 'a=1; Path=/', 'VIA', ' 1.1 x', 'set-cookie', 'b=2'],
    expected: ['Set-Cookie', 'a=1; Path=/', 'VIA', ' 1.1 x', 'set-cookie', 'b=2']
  }
]

for (const { name, rules, pairs, expected } of cases) {
  test(name, () => {
    const edit = compileHeaderRules(rules)
    const before = [...pairs]

    assert.deepEqual(edit?.(pairs), expected)
    assert.deepEqual(pairs, before)
  })
}

test('without rules there is nothing to run', () => {
  assert.equal(compileHeaderRules(rules()), undefined)
})

test('one exchange leaves no trace in the next', () => {
  const edit = compileHeaderRules(rules({ set: [['x-a', 'new']] }))

  assert.deepEqual(edit?.(['x-a', '1']), ['x-a', 'new'])
  assert.deepEqual(edit?.([]), ['x-a', 'new'])
})
