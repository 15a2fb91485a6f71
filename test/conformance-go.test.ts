// One process for all of them: each file of tests costs the start of another.
import './conformance-go-bodies.ts'
import './conformance-go-errors.ts'
import './conformance-go-headers.ts'
import './conformance-go-upgrades.ts'
import './conformance-go-urls.ts'
