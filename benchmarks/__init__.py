"""What the service costs beside what nobody can avoid: `make bench`, or `python -m benchmarks.doors`.

Sections, each a command of its own: `doors`, `concurrency`, `latency`, `openloop`, `workers`, `batching`,
`start`, `many`. What they stand on: `servers` (who is compared), `cases` (what is asked), `load` (h2load,
wrk) and `generator` (a load generator of our own, which counts latency from when a request was due), `closed`
(servers in turn under the same load), `repositories` (models made for a measurement), `processes`. What comes
of it: `figures` (docs/benchmarks/figures.json), `targets`, `plots`, `report`.

`streaming` measures training, on its own.
"""
