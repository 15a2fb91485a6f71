/** The snapshot of V8's heap as DevTools reads it: nodes and edges are rows of numbers, names are in a table. */
interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[]
      readonly node_types: readonly [readonly string[], ...unknown[]]
      readonly edge_fields: readonly string[]
      readonly edge_types: readonly [readonly string[], ...unknown[]]
    }
  }
  readonly nodes: readonly number[]
  readonly edges: readonly number[]
  readonly strings: string[]
}

type NodeField = 'type' | 'name' | 'self_size' | 'edge_count'

/** One reference: its type, its name (a place in the table of strings) or index, and the node it leads to. */
export type EdgeVisitor = (type: string, name: number | undefined, index: number | undefined, to: number) => void

/** A heap snapshot as a graph. Nodes are numbered from 0. */
export class HeapGraph {
  readonly strings: string[]
  readonly size: number
  readonly #snapshot: Snapshot
  readonly #width: number
  readonly #offsets: Readonly<Record<NodeField, number>>
  readonly #firstEdge: Uint32Array

  /** @throws SyntaxError if this is not JSON, Error if it is no heap snapshot */
  constructor(json: string) {
    const parsed: unknown = JSON.parse(json)
    if (!isSnapshot(parsed)) throw new Error('this is no heap snapshot')
    const fields = parsed.snapshot.meta.node_fields
    this.#snapshot = parsed
    this.#width = fields.length
    this.#offsets = {
      type: fields.indexOf('type'),
      name: fields.indexOf('name'),
      self_size: fields.indexOf('self_size'),
      edge_count: fields.indexOf('edge_count')
    }
    this.strings = parsed.strings
    this.size = parsed.nodes.length / this.#width
    this.#firstEdge = new Uint32Array(this.size + 1)
    for (let node = 0; node < this.size; node++) {
      this.#firstEdge[node + 1] = (this.#firstEdge[node] ?? 0) + this.#field(node, 'edge_count')
    }
  }

  /** Its kind, such as `object`, `string` or `closure`. */
  kind(node: number): string {
    return this.#snapshot.snapshot.meta.node_types[0][this.#field(node, 'type')] ?? ''
  }

  /** Where its name is in the table; the content of strings, the class of objects. */
  nameIndex(node: number): number {
    return this.#field(node, 'name')
  }

  name(node: number): string {
    return this.strings[this.nameIndex(node)] ?? ''
  }

  /** Its own bytes, without what it refers to. */
  bytes(node: number): number {
    return this.#field(node, 'self_size')
  }

  edges(node: number, visit: EdgeVisitor): void {
    const { edges, snapshot } = this.#snapshot
    const types = snapshot.meta.edge_types[0]
    const end = this.#firstEdge[node + 1] ?? 0
    for (let edge = this.#firstEdge[node] ?? 0; edge < end; edge++) {
      const type = types[edges[edge * 3] ?? 0] ?? ''
      const nameOrIndex = edges[edge * 3 + 1] ?? 0
      const to = (edges[edge * 3 + 2] ?? 0) / this.#width
      if (type === 'element' || type === 'hidden') visit(type, undefined, nameOrIndex, to)
      else visit(type, nameOrIndex, undefined, to)
    }
  }

  toJSON(): unknown {
    return this.#snapshot
  }

  #field(node: number, field: NodeField): number {
    return this.#snapshot.nodes[node * this.#width + this.#offsets[field]] ?? 0
  }
}

function isSnapshot(value: unknown): value is Snapshot {
  if (typeof value !== 'object' || value === null) return false
  return 'snapshot' in value && 'nodes' in value && 'edges' in value && 'strings' in value
}
