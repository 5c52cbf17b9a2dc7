# Two commands matter: `make demo` runs the main job, `make test` passes the tests.
GO      ?= go
BIN     := bin/jialing
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: build demo test sim check bench apps clean

build: ## one binary: bin/jialing
	$(GO) build -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/jialing

demo: build ## four nodes in ./demo-data, contracts, 1,000 transfers, faults under load (keys on a terminal), a notarised file, engines compared; serves until Ctrl-C. SUITE=gm: 国密; CONSENSUS=solo|raft|bft|pos|pow|all; DEMO=--once or DEMO='--script "2s kill 1; 5s restart"'
	$(BIN) demo --dir demo-data --fresh --suite $(or $(SUITE),intl) --consensus $(or $(CONSENSUS),bft) $(DEMO)

test: ## everything that CI runs but the linters
	$(GO) test -count=1 -timeout 20m ./... # no cache: it does not see that the tests of processes build the binary
	cd apps && npm ci --no-audit --no-fund --silent && node build.mjs --check

sim: ## whole networks under faults: SEEDS=n new seeds, or SEED=s again; SUITE=gm, raft, pos, pow or gm-raft: new ones of that suite or engine
	$(GO) test -count=1 -timeout 0 -v -run '^TestSimulation$$' ./test/sim -args $(if $(SEED),-seed=$(SEED),-seeds=$(or $(SEEDS),20)) $(if $(FIRST),-first=$(FIRST)) $(if $(SUITE),-suite=$(SUITE))

check: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench: build ## NODES=4 ACCOUNTS=100000 TXS=... SECTIONS=... SUITE=gm KIND=sm2 CONSENSUS=raft ENCRYPT=1; table on the screen, JSON in bench/out
	$(GO) run ./bench $(BENCH)

clean:
	rm -rf bin demo-data bench/out
