import assert from 'node:assert/strict'
import { conformsEach, differs } from './conformance-helper.ts'
import { RawClient, startGateway } from './forwarding-helper.ts'
import { startRecordingTarget } from './recording-target.ts'

type Context = Parameters<typeof startGateway>[0]

/** Asks for a host in both ways, by Host header and by absolute form. */
const FORMS = {
  'host header': (host: string) => `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`,
  'absolute request': (host: string) => `GET http://${host}/ HTTP/1.0\r\nHost: localhost\r\n\r\n`
}

/** The status, where the only route takes requests for this host. */
async function ask(t: Context, request: string, name: string): Promise<string> {
  const target = await startRecordingTarget(t)
  const gateway = await startGateway(t, [target.url], { route: { match: { hosts: [name] } } })
  const client = new RawClient(t, gateway.port)
  client.write(request)
  return (await client.end()).slice(9, 12)
}

const inBothForms = <Row>(rows: Row[]) =>
  Object.entries(FORMS).flatMap(([form, make]) => rows.map((row) => ({ form, make, row })))

conformsEach(
  'http_host.t, the hosts that are taken: single, upper and mixed case, stray colon, port, ending dot, ipv4, ipv6 literal, ipv4-mapped ipv6',
  'a route for a host takes requests for it, in any case, with or without a port or a dot at the end',
  inBothForms([
    { host: 'l', name: 'l' },
    { host: 'L', name: 'l' },
    { host: 'abcd-ef.g02.xyz:', name: 'abcd-ef.g02.xyz' },
    { host: 'abcd-ef.g02.xyz:8080', name: 'abcd-ef.g02.xyz' },
    { host: 'www.abcd-ef.g02.xyz', name: 'www.abcd-ef.g02.xyz' },
    { host: 'www.abcd-ef.g02.xyz.', name: 'www.abcd-ef.g02.xyz' },
    { host: 'abcd-ef.g02.xyz.:88', name: 'abcd-ef.g02.xyz' },
    { host: 'AbC-d93.0.34ZhGt-s.nk.Ru', name: 'abc-d93.0.34zhgt-s.nk.ru' },
    { host: 'AbC-d93.0.34ZhGt-s.nk.Ru:88', name: 'abc-d93.0.34zhgt-s.nk.ru' },
    { host: '123.40.56.78', name: '123.40.56.78' },
    { host: '123.40.56.78:', name: '123.40.56.78' },
    { host: '123.49.0.78:987', name: '123.49.0.78' },
    { host: '[abcd::ef98:0:7654:321]', name: '[abcd::ef98:0:7654:321]' },
    { host: '[abcd::ef98:0:7654:321]:80', name: '[abcd::ef98:0:7654:321]' },
    { host: '[::ffff:12.30.67.89]', name: '[::ffff:12.30.67.89]' },
    { host: '[::123.45.67.89]:4321', name: '[::123.45.67.89]' }
  ]),
  ({ form, row }) => `${row.host}, ${form}`,
  async (t, { make, row }) => {
    assert.equal(await ask(t, make(row.host), row.name), '200')
  }
)

conformsEach(
  'http_host.t, the hosts that are refused: empty, only a dot, double dot, path separators, port that is none, port double, port long, ipv6 literal with something around it or without its bracket',
  'what is no host is a 400',
  inBothForms([
    ...['.', '..examp-LE.com', 'com.exa-m.45..:', 'example.com.:1.2', 'example.com/\\:552', '\\e/xample.com'],
    ...['123.49.0.78:98777', '123.40.56.78:123456', '123.40.56.78:9000:80'],
    ...['[abcd::ef98:0:7654:321].', '[abcd::ef98:0:7654:321].:98', '[abcd::ef98:0:7654:321]..:98'],
    ...['[abcd::e\\f98:0/:7654:321]', '[abcd\\::ef98:0:7654:321/]:12', '[ab..cd::ef98:0:7654:321]'],
    ...['extra[abcd::ef98:0:7654:321]:98', 'extra[abcd::ef98:0:7654:321]', '[abcd::ef98:0:7654:321']
  ]),
  ({ form, row }) => `${row}, ${form}`,
  async (t, { make, row }) => {
    assert.equal(await ask(t, make(row), 'localhost'), '400')
  }
)

conformsEach(
  "http_host.t 'domain empty (host header)', 'domain empty (absolute request)'",
  'no host at all is a 400 in HTTP/1.1',
  ['GET / HTTP/1.1\r\nHost: ', 'GET http:/// HTTP/1.1\r\nHost: localhost', 'GET / HTTP/1.1'],
  (request) => JSON.stringify(request),
  async (t, request) => {
    assert.equal(await ask(t, `${request}\r\nConnection: close\r\n\r\n`, 'localhost'), '400')
  }
)

conformsEach(
  "http_host.t 'host repeat', 'control'",
  'a second Host, or a control character in one, is a 400',
  ['localhost\r\nHost: again', 'localhost\x02', 'localhost\nHost: again'],
  (host) => JSON.stringify(host),
  async (t, host) => {
    assert.equal(await ask(t, FORMS['host header'](host), 'localhost'), '400')
  }
)

differs(
  "http_host.t 'IPvFuture all symbols (host header)', 'IPvFuture all symbols (absolute request)'",
  'an IP literal of a future version is a 400',
  'there is none, and no route could name it',
  async (t) => {
    for (const make of Object.values(FORMS)) {
      assert.equal(await ask(t, make("[v0123456789aBcDeF.!$&'()*+,;=-._~AbZ:]"), 'localhost'), '400')
    }
  }
)
