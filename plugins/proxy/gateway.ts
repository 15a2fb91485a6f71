import { IncomingMessage } from 'node:http'
import { type Duplex, Readable } from 'node:stream'
import proxyAddr from '@fastify/proxy-addr'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import type { GatewayConfig } from '../config/index.ts'
import {
  BadHostError,
  BadPathError,
  BadResponseError,
  BodyTooLargeError,
  HeadTooLargeError,
  MethodNotAllowedError,
  NoTargetError,
  VersionNotSupportedError
} from '../errors.ts'
import { type Answer, type AnswerSource, isBodyless } from './answer/answer.ts'
import { DirectAnswer } from './answer/direct-answer.ts'
import { HookedAnswer } from './answer/hooked-answer.ts'
import { sendInformation } from './answer/information.ts'
import { answerRedirect } from './answer/redirect-answer.ts'
import { type ClientView, schemeOf, viewOf } from './client-view.ts'
import type { Attempt } from './forwarding/attempt.ts'
import { numberAttempt } from './forwarding/attempt-header.ts'
import { readBodyLength } from './forwarding/body-length.ts'
import { Deadlines } from './forwarding/deadlines.ts'
import { Forwarding } from './forwarding/forwarding.ts'
import { isLastHop } from './forwarding/max-forwards.ts'
import { RequestBody } from './forwarding/request-body.ts'
import { buildRequestHeaders, peerAddress } from './forwarding/request-headers.ts'
import { filterResponseHeaders, keepRequiredProtocols } from './forwarding/response-headers.ts'
import { isIdempotent } from './forwarding/retry-policy.ts'
import type { ForwardingHooks, UpstreamRuntime } from './forwarding/types.ts'
import { awaitsContinue } from './front/expectation.ts'
import { restoreUrl } from './front/odd-url.ts'
import { ALLOWED_METHODS } from './front/refusal.ts'
import { GatewayExchange } from './gateway-exchange.ts'
import { Mirror } from './mirroring/mirror.ts'
import { MirroredExchange } from './mirroring/mirrored-exchange.ts'
import type { Mirrors } from './mirroring/mirrors.ts'
import { parseHost } from './routing/host.ts'
import { readHttp2Authority } from './routing/http2-authority.ts'
import { readTarget } from './routing/path.ts'
import type { Redirect } from './routing/redirect.ts'
import { type Branch, compileRoute, type Route } from './routing/route.ts'
import { createRouteTable, type RouteTable } from './routing/route-table.ts'
import type { StickySplit } from './routing/sticky-split.ts'
import { compileReaders, giveToken, type StrategyReaders } from './strategy-needs.ts'
import type { ResponseHead } from './transport/index.ts'
import { compileTrust, type TrustCheck } from './trust.ts'
import { Upgrades } from './upgrade/upgrades.ts'

/** What the gateway needs from outside. */
export interface GatewaySetup {
  readonly config: GatewayConfig
  readonly upstreams: ReadonlyMap<string, UpstreamRuntime>
  /** Path under which the routes live: the prefix of the Fastify scope. */
  readonly mount: string
  readonly now: () => number
  readonly random: () => number
  /** Whether a hook of somebody else wants to see the response. */
  readonly isHooked: (request: FastifyRequest) => boolean
  /** Names and values that a request may have before Node.js drops the next ones without a word. */
  readonly maxRawHeaders: number
  /** Where mirrors can be found by the application. */
  readonly mirrors: Mirrors
  readonly log: FastifyBaseLogger
}

/** The routes of one scope at work: finds the route of a request, and carries the exchange to its upstream. */
export class Gateway implements ForwardingHooks {
  readonly routes: readonly Route[]
  readonly upgrades: Upgrades

  private readonly table: RouteTable<Route>
  private readonly deadlines: Deadlines
  private readonly trust: TrustCheck
  private readonly bodyLimit: number
  private readonly readers = new Map<UpstreamRuntime, StrategyReaders>()
  private readonly isHooked: (request: FastifyRequest) => boolean
  private readonly maxRawHeaders: number

  constructor(setup: GatewaySetup) {
    const { config, upstreams, mount, now, random, isHooked, maxRawHeaders } = setup
    this.routes = config.routes.map((route) => compileRoute(route, upstreams, mount, random))
    this.table = createRouteTable(this.routes, { mount })
    this.deadlines = new Deadlines(now)
    this.upgrades = new Upgrades(this.deadlines)
    this.trust = compileTrust(config.trustedProxies)
    this.bodyLimit = config.server.bodyLimit
    this.isHooked = isHooked
    this.maxRawHeaders = maxRawHeaders
    for (const upstream of upstreams.values()) {
      const hashKey = config.upstreams[upstream.name]?.hashKey
      this.readers.set(upstream, compileReaders(upstream.balancer.needs, hashKey))
    }
    for (const route of this.routes) this.addMirrors(route, setup)
  }

  /** The exchange of a request, or undefined when no route matches. Throws what the client did wrong. */
  match(request: FastifyRequest, reply: FastifyReply): GatewayExchange | undefined {
    const message = request.raw
    if (message.httpVersion !== '1.1') checkVersion(message, reply)
    // It would echo credentials and cookies back (RFC 9110, section 9.3.8).
    if (request.method === 'TRACE') {
      reply.header('allow', ALLOWED_METHODS)
      throw new MethodNotAllowedError(request.method)
    }
    // One that was dropped might have been the length of the body, or what a policy goes by.
    if (message.rawHeaders.length >= this.maxRawHeaders) throw new HeadTooLargeError()
    restoreUrl(message)
    const target = readTarget(message.url ?? '', request.method)
    if (typeof target === 'string') throw new BadPathError(target)
    const isHttp2 = message.httpVersionMajor === 2
    const written = isHttp2 ? readHttp2Authority(message.headers) : (target.authority ?? message.headers.host ?? '')
    const host = parseHost(written)
    // HTTP/1.0 knows no Host; everything else must name one (RFC 9112, section 3.2).
    if (host === undefined && (written !== '' || message.httpVersion !== '1.0'))
      throw new BadHostError('not a host name')

    const route = this.table.find(request.method, host, target.match, message.headers, target.query)
    if (route === undefined) return undefined
    const exchange = new GatewayExchange(request, reply, performance.now())
    exchange.route = route.id
    exchange.matched = route
    exchange.requestTarget = target
    exchange.host = written
    return exchange
  }

  /** Whether a route matches, for those who must know before Fastify has routed the request. */
  claims({ headers, method = '', url = '' }: IncomingMessage): boolean {
    const target = readTarget(url, method)
    if (typeof target === 'string') return false
    const host = parseHost(target.authority ?? headers.host ?? '')
    return host !== undefined && this.table.find(method, host, target.match, headers, target.query) !== undefined
  }

  /** Sends the exchange on its way. Throws when it cannot even be begun. */
  forward(exchange: GatewayExchange): void {
    const { matched, requestTarget, request, reply } = exchange
    if (matched === undefined || requestTarget === undefined) return
    if (isLastHop(request.raw)) {
      reply.code(204).header('allow', ALLOWED_METHODS).send()
      return
    }
    const branch = matched.sticky === undefined ? matched.choose() : chooseSticky(matched.sticky, exchange)
    if (branch === undefined) throw new NoTargetError(matched.id)
    const { upstream } = branch
    exchange.upstream = upstream.name

    const message = request.raw
    const { path, query } = requestTarget
    // Looked up by the header, since hardly any request has it.
    if (message.headers.upgrade !== undefined) exchange.upgrade = this.upgrades.read(message, matched.config.upgrade)
    const body = this.readBody(exchange, upstream)
    // A small body is here sooner than the target's word that it wants it.
    const large = body !== undefined && (body.length < 0 || body.length > upstream.retry.bodyLimit)
    const outgoing = {
      method: request.method,
      path: matched.rewriteUrl?.(path, query) ?? path + query,
      headers: this.requestHeaders(exchange, branch, body),
      host: hostFor(matched, exchange.host),
      body,
      expectContinue: large && awaitsContinue(message),
      upgrade: exchange.upgrade?.protocols,
      idempotent:
        isIdempotent(request.method) ||
        (matched.config.retry.idempotencyKey && message.headers['idempotency-key'] !== undefined),
      key: this.keyOf(exchange, upstream),
      token: this.tokenOf(exchange, upstream)
    }
    exchange.forwarding = new Forwarding(exchange, upstream, outgoing, this.deadlines, this)
    if (matched.mirrors !== undefined && exchange.upgrade === undefined)
      exchange.mirrored = MirroredExchange.begin(matched.mirrors, exchange, outgoing)
    exchange.forwarding.start()
  }

  keyOf({ request }: GatewayExchange, upstream: UpstreamRuntime): string | undefined {
    return this.readers.get(upstream)?.key?.(request.raw, this.clientAddress)
  }

  tokenOf({ request }: GatewayExchange, upstream: UpstreamRuntime): string | undefined {
    return this.readers.get(upstream)?.token?.(request.raw, this.clientAddress)
  }

  inform({ reply }: GatewayExchange, status: number, headers: readonly string[]): void {
    sendInformation(reply.raw, status, filterResponseHeaders(headers, { chunked: false, length: false }))
  }

  /** Answers an exchange whose route redirects. Throws BadHostError, BadPathError. */
  redirect({ matched, requestTarget, host, request, reply }: GatewayExchange, redirect: Redirect): void {
    if (requestTarget === undefined) return
    const { path, query } = requestTarget
    const pairs = ['location', redirect.locate(this.viewOf(request.raw, host), path, query)]
    answerRedirect(reply, redirect.status, matched?.editResponse?.(pairs) ?? pairs)
  }

  respond(exchange: GatewayExchange, source: AnswerSource): Answer {
    const { request, matched } = exchange
    const hooked = matched?.onion?.hasResponseHalf === true || this.isHooked(request)
    const answer = hooked ? new HookedAnswer(source) : new DirectAnswer(source)
    return exchange.mirrored === undefined ? answer : exchange.mirrored.observe(answer, source)
  }

  switchProtocols(attempt: Attempt, head: ResponseHead, socket: Duplex, early: Buffer): void {
    const { exchange, upstream } = attempt.owner
    this.upgrades.open(exchange, {
      head,
      pairs: this.responseHeaders(attempt, head),
      socket,
      early,
      idle: upstream.timeouts.idle,
      onRelease: () => attempt.end('neutral')
    })
  }

  responseHeaders({ owner, target }: Attempt, head: ResponseHead): string[] {
    const pairs = this.editedHeaders(owner.exchange, head)
    if (owner.exchange.splitCookie !== undefined) pairs.push('set-cookie', owner.exchange.splitCookie)
    giveToken(pairs, owner.upstream.balancer, target, owner.token)
    const { attemptHeader } = owner.upstream.retry
    return attemptHeader === undefined ? pairs : numberAttempt(pairs, attemptHeader, owner.exchange.attempts)
  }

  close(): void {
    for (const { mirrors = [] } of this.routes) for (const mirror of mirrors) mirror.close()
    this.deadlines.close()
  }

  private addMirrors(route: Route, { upstreams, mirrors, random, log }: GatewaySetup): void {
    const own = route.config.mirrors.flatMap((config) => {
      const runtime = upstreams.get(config.upstream)
      if (runtime === undefined) return []
      const key = (exchange: GatewayExchange) => this.keyOf(exchange, runtime)
      return [new Mirror({ route: route.id, config, runtime, key, deadlines: this.deadlines, mirrors, random, log })]
    })
    for (const mirror of own) mirrors.add(mirror)
    if (own.length > 0) route.mirrors = own
  }

  private viewOf(message: IncomingMessage, host: string): ClientView {
    return viewOf(message, host, this.trust(message.socket.remoteAddress ?? '', 0))
  }

  private readonly clientAddress = (message: IncomingMessage): string => proxyAddr(message, this.trust) ?? ''

  private editedHeaders({ matched, request, reply, host, target }: GatewayExchange, head: ResponseHead): string[] {
    const bodyless = isBodyless(request.method, head)
    const pairs = filterResponseHeaders(head.headers, {
      chunked: !bodyless && head.length < 0 && request.raw.httpVersion !== '1.0',
      length: head.status !== 204 && head.status !== 101
    })
    if (head.status === 426 && request.raw.httpVersion === '1.1')
      keepRequiredProtocols(pairs, head.headers, reply.raw.shouldKeepAlive)
    if (request.raw.httpVersionMajor === 2 && head.status > 599) throw new BadResponseError('no status of HTTP/2')
    if (matched === undefined) return pairs
    if (matched.reverse !== undefined) {
      const { scheme, authority } = this.viewOf(request.raw, host)
      const client = authority === '' ? '' : `${scheme}://${authority}`
      const origin = originOf(target ?? '')
      matched.reverse(pairs, { client, target: origin, host: hostFor(matched, host) ?? authorityOf(origin) })
    }
    return matched.editResponse?.(pairs) ?? pairs
  }

  private readBody(exchange: GatewayExchange, upstream: UpstreamRuntime): RequestBody | undefined {
    const { request } = exchange
    const length = readBodyLength(request.raw)
    if (length === undefined) return undefined
    if (this.bodyLimit > 0 && length > this.bodyLimit) throw new BodyTooLargeError(this.bodyLimit)
    // A preParsing hook may have put another stream in place, of another length.
    const source: Readable = request.body instanceof Readable ? request.body : request.raw
    const replaced = source !== request.raw
    return new RequestBody(source, {
      length: replaced ? -1 : length,
      limit: this.bodyLimit,
      keep: upstream.retry.bodyLimit,
      awaited: awaitsContinue(request.raw),
      onFault: (error) => exchange.forwarding?.onBodyFault(error)
    })
  }

  private requestHeaders(exchange: GatewayExchange, branch: Branch, body: RequestBody | undefined): string[] {
    const message = exchange.request.raw
    const peer = peerAddress(message)
    const trusted = this.trust(peer, 0)
    const pairs = buildRequestHeaders({
      message,
      peer,
      trusted,
      protocol: schemeOf(message, trusted),
      host: exchange.host,
      chunked: body?.length === -1,
      extra: exchange.requestHeaders
    })
    return branch.editRequest?.(pairs) ?? pairs
  }
}

/** The parser of Node.js takes some more versions, in which it would see the same request as in 1.1. */
function checkVersion(message: IncomingMessage, reply: FastifyReply): void {
  if (message.httpVersion === '1.0' || !(message instanceof IncomingMessage)) return
  reply.header('connection', 'close')
  throw new VersionNotSupportedError()
}

function chooseSticky(split: StickySplit<Branch>, exchange: GatewayExchange): Branch | undefined {
  const { share, setCookie } = split.choose(exchange.request.raw)
  exchange.splitCookie = setCookie
  return share
}

function hostFor(route: Route, clientHost: string): string | undefined {
  const { host } = route.config.rewrite
  if (host === 'target') return undefined
  if (host !== 'preserve') return host
  return clientHost === '' ? undefined : clientHost
}

/** What stands for the origin of a target: what is behind a unix socket calls itself localhost, what is in the process its name. */
function originOf(targetUrl: string): string {
  if (targetUrl.startsWith('http')) return targetUrl
  const [, name] = /^(?:function|app):(.*)$/.exec(targetUrl) ?? []
  return `http://${name ?? 'localhost'}`
}

function authorityOf(url: string): string {
  return url.slice(url.indexOf('://') + 3)
}
