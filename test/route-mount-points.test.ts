import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountPoints } from '../plugins/proxy/routing/mount-points.ts'
import { path, route } from './route-helper.ts'

const many = (count: number) => Array.from({ length: count }, (_, i) => `/s${i}`)

const cases = [
  { name: 'no routes', paths: [], expected: [] },
  { name: 'an exact path', paths: ['/users'], expected: ['/users', '/users/*'] },
  { name: 'a prefix', paths: ['/users/v1/*'], expected: ['/users', '/users/*'] },
  { name: 'one first segment', paths: ['/users', '/users/*', '/users/7'], expected: ['/users', '/users/*'] },
  { name: 'two first segments', paths: ['/b/*', '/a'], expected: ['/b', '/b/*', '/a', '/a/*'] },
  { name: 'the exact root', paths: ['/a', '/'], expected: ['/', '/a', '/a/*'] },
  { name: 'the prefix of everything', paths: ['/a', '/*'], expected: ['/*'] },
  { name: 'a regular expression', paths: ['/a', /x/], expected: ['/*'] },
  { name: 'a segment that Fastify would read as a parameter', paths: ['/:id'], expected: ['/*'] },
  { name: 'a segment with an escape', paths: ['/caf%C3%A9'], expected: ['/*'] },
  { name: 'a segment with needless escapes', paths: ['/%75sers'], expected: ['/users', '/users/*'] },
  { name: 'doubled slashes', paths: ['//users'], expected: ['/users', '/users/*'] },
  { name: 'more than 20 first segments', paths: many(21), expected: ['/*'] },
  { name: '20 first segments', paths: many(20), expected: many(20).flatMap((url) => [url, `${url}/*`]) }
]

for (const { name, paths, expected } of cases) {
  test(`mount points for ${name}`, () => {
    const routes = paths.map((pattern) => route({ match: { path: path(pattern) } }))

    assert.deepEqual(mountPoints(routes), expected)
  })
}
